/** number, kind or message, and what else is so: a list; there though it is empty, or null then; or left out. */
export type Field = readonly [number, string, ("list" | "always" | "null" | "maybe")?];
export type Table = Readonly<Record<string, Readonly<Record<string, Field>>>>;
export declare const FROM_CLIENT: Readonly<Record<string, readonly [number, string]>>;
export declare const FROM_SERVER: Readonly<Record<string, readonly [number, string]>>;
export declare const MESSAGES: Table;
