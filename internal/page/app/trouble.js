// SPDX-License-Identifier: Apache-2.0

/** Says in plain words what went wrong, and what helps. */

const REFUSALS = {
  token_invalid: ["The token was not accepted.", "Get another one, put it in under Settings, and connect again."],
  token_expired: ["The token has expired.", "Get another one, put it in under Settings, and connect again."],
  deauthorized: ["This session is not yours any more.", "Somebody has withdrawn it. Connect again to begin another one."],
  stale_epoch: ["This session goes on elsewhere.", "Connect again to begin another one."],
  unsupported_codec: ["The server does not speak this device's sound format.", "Choose another loudspeaker under Settings, or reload the page."],
  unknown_session: ["The session is over.", "Connect again to begin another one."],
  session_ended: ["The session is over.", "Connect again to begin another one, with a fresh token where this server wants one."],
  capacity: ["The server is full.", "Wait a moment and connect again."],
  draining: ["The server is about to end and takes no new sessions.", "Wait until it is back, or connect to another one."],
  internal_error: ["The server has failed.", "Try again in a moment; its log says why."],
  invalid_request: ["The server did not understand the page.", "Reload it: it may be older than the server."],
};

const ENDS = {
  closed: null, client_left: null, ended: null,
  displaced: ["The conversation goes on in another tab.", "Only one connection at a time holds a session. Connect again to begin another one."],
  lost: ["The connection was lost and did not come back.", "See that the network and the server are there, and connect again."],
  closed_by_operator: ["The server's operator has ended the session.", "Connect again to begin another one."],
  shutdown: ["The server was asked to end.", "Connect again when it is back."],
  deauthorized: ["The session was withdrawn, or its token has ended.", "Get another token if this server wants one, and connect again."],
};

/** What is shown: a title and a remedy. */
export const trouble = ([title, remedy]) => ({ title, remedy });

/** A failure of connecting, or of the token for it. */
export function ofConnecting(error) {
  if (error?.name === "RefusedError") return trouble(REFUSALS[error.code] ?? [`The server refused: ${error.message}`, "Connect again later."]);
  if (error?.name === "TokenError") return trouble([error.message, error.remedy]);
  return trouble(["The server cannot be reached.", "See that parley serve is running and the network works, then connect again."]);
}

/** A failure of what plays. */
export function ofLoudspeaker(error) {
  if (globalThis.AudioWorkletNode === undefined) {
    return trouble(["This browser gives no sound to this address.", "Open the page by https, or on this machine by http://127.0.0.1, in a browser of the last years."]);
  }
  return trouble(["The loudspeaker does not work.", `Choose another under Settings, then connect again. The browser says: ${error?.message ?? error}.`]);
}

/** A failure of the microphone. */
export function ofMicrophone(error) {
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return trouble(["The microphone is not allowed.", "Allow it for this page at the left of the address bar, then press Use microphone. Until then you can type."]);
    case "NotFoundError":
    case "OverconstrainedError":
      return trouble(["There is no such microphone.", "Plug one in or choose another under Settings, then press Use microphone. Until then you can type."]);
    case "NotReadableError":
    case "AbortError":
      return trouble(["The microphone is in use by another program.", "Close that program, then press Use microphone. Until then you can type."]);
  }
  if (!globalThis.isSecureContext || !navigator.mediaDevices) {
    return trouble(["This browser gives no microphone to this address.", "Open the page by https, or on this machine by http://127.0.0.1. Until then you can type."]);
  }
  return trouble(["The microphone does not work.", `The browser says: ${error?.message ?? error}. Until then you can type.`]);
}

/** The end of a session, nothing for one that was meant. */
export function ofEnd({ reason, error }) {
  if (error?.name === "RefusedError") return ofConnecting(error);
  const known = ENDS[reason];
  if (known === null) return undefined;
  return trouble(known ?? [`The session has ended: ${reason.replaceAll("_", " ")}.`, "Connect again to begin another one."]);
}

/** The answer of the server's own interface, when it is none. */
export class TokenError extends Error {
  name = "TokenError";
  constructor(message, remedy) {
    super(message);
    this.remedy = remedy;
  }
}
