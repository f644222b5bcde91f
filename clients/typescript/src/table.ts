// SPDX-License-Identifier: Apache-2.0

// The fields of the binary encoding, as docs/parley.proto has them. Written by
// go test ./api/wire -run Published -rewrite.

/** number, kind or message, and what else is so: a list; there though it is empty, or null then; or left out. */
export type Field = readonly [number, string, ("list" | "always" | "null" | "maybe")?];
export type Table = Readonly<Record<string, Readonly<Record<string, Field>>>>;

export const FROM_CLIENT: Readonly<Record<string, readonly [number, string]>> = {
  hello: [1, "Hello"],
  text: [2, "Text"],
  end_of_utterance: [3, "EndOfUtterance"],
  cancel: [4, "Cancel"],
  stop: [5, "Stop"],
  played: [6, "Played"],
  mute: [7, "Mute"],
  control: [8, "Control"],
  context: [9, "Context"],
  respond: [10, "Respond"],
  configure: [11, "Configure"],
  tool_result: [12, "ToolResult"],
  renew: [13, "Renew"],
  ping: [14, "Ping"],
  bye: [15, "Bye"],
};

export const FROM_SERVER: Readonly<Record<string, readonly [number, string]>> = {
  welcome: [2, "Welcome"],
  refused: [3, "Refused"],
  error: [4, "Error"],
  taken: [5, "Taken"],
  signal: [6, "Signal"],
  transcript: [7, "Transcript"],
  speech: [8, "Speech"],
  tool_call: [9, "ToolCall"],
  metric: [10, "Metric"],
  audio_begin: [11, "AudioBegin"],
  fence: [12, "Fence"],
  route: [13, "Route"],
  pong: [14, "Pong"],
  ended: [15, "Ended"],
};

export const MESSAGES: Table = {
  Hello: {
    token: [1, "string"],
    session: [2, "string"],
    resume: [3, "Resume"],
    audio: [4, "Offered"],
    encoding: [5, "string"],
    acks: [6, "bool", "maybe"],
    metrics: [7, "bool"],
    wishes: [8, "Wishes"],
  },
  Resume: {
    session: [1, "string", "always"],
    received: [2, "int64", "always"],
  },
  Offered: {
    in: [1, "string", "list"],
    out: [2, "string", "list"],
  },
  Wishes: {
    instructions: [1, "string", "maybe"],
    voice: [2, "string", "maybe"],
    language: [3, "string", "maybe"],
    turn_end: [4, "string"],
    answer: [5, "bool", "maybe"],
    interrupt: [6, "bool", "maybe"],
    text_only: [7, "bool", "maybe"],
    tools: [8, "ToolList"],
  },
  ToolList: {
    tools: [1, "Tool", "list"],
  },
  Tool: {
    name: [1, "string", "always"],
    description: [2, "string"],
    parameters: [3, "bytes"],
  },
  Text: {
    text: [1, "string", "always"],
    key: [15, "string"],
  },
  Welcome: {
    session: [1, "string", "always"],
    resumed: [2, "bool", "always"],
    epoch: [3, "int64", "always"],
    missed: [4, "int64", "always"],
    audio: [5, "Agreed", "always"],
    encoding: [6, "string", "always"],
    compression: [7, "string", "always"],
    acks: [8, "bool", "always"],
    keepalive_ms: [9, "int64", "always"],
    resume_ms: [10, "int64", "always"],
    limits: [11, "Limits", "always"],
  },
  Agreed: {
    in: [1, "string", "always"],
    out: [2, "string", "always"],
    frame_ms: [3, "int64", "always"],
  },
  Limits: {
    message_bytes: [1, "int64", "always"],
    audio_bytes: [2, "int64", "always"],
    text_bytes: [3, "int64", "always"],
    messages_per_second: [4, "int64", "always"],
    audio_ahead_ms: [5, "int64", "always"],
    faults: [6, "int64", "always"],
  },
  EndOfUtterance: {
    key: [15, "string"],
  },
  Refused: {
    code: [1, "string", "always"],
    message: [2, "string", "always"],
    retry_after_ms: [3, "int64"],
    supported: [4, "string", "list"],
  },
  Cancel: {
    turn: [1, "string"],
    reason: [2, "string"],
    force: [3, "bool"],
    epoch: [4, "int64"],
    key: [15, "string"],
  },
  Error: {
    code: [1, "string", "always"],
    field: [2, "string"],
    message: [3, "string", "always"],
    key: [15, "string"],
  },
  Stop: {
    turn: [1, "string"],
    reason: [2, "string"],
    force: [3, "bool"],
    epoch: [4, "int64"],
    key: [15, "string"],
  },
  Taken: {
    again: [1, "bool"],
    key: [15, "string", "always"],
  },
  Played: {
    generation: [1, "uint32", "always"],
    turn: [2, "string"],
    position: [3, "int64", "always"],
    final: [4, "bool"],
  },
  Signal: {
    signal: [1, "Envelope", "null"],
  },
  Envelope: {
    signal: [1, "string"],
    turn_id: [2, "string"],
    reason: [3, "string"],
    runtime_sequence: [4, "int64", "always"],
    runtime_timestamp_ms: [5, "int64", "always"],
    wall_clock_timestamp_ms: [6, "int64", "always"],
    event_id: [7, "string", "always"],
    event_scope: [8, "string", "always"],
    session_id: [9, "string", "always"],
    lane: [10, "string", "always"],
    schema_version: [11, "string", "always"],
    pipeline_version: [12, "string", "always"],
    payload_class: [13, "string", "always"],
    authority_epoch: [14, "int64", "maybe"],
    emitted_by: [15, "string"],
    event_kind: [16, "string"],
    transport_sequence: [17, "int64", "null"],
    timestamp_ms: [18, "int64", "maybe"],
    lease_token: [19, "string"],
    node_id: [20, "string"],
    edge_id: [21, "string"],
    causal_parent_id: [22, "string"],
    idempotency_key: [23, "string"],
    provider_invocation_id: [24, "string"],
    sync_id: [25, "string"],
    sync_domain: [26, "string"],
    discontinuity_id: [27, "string"],
    merge_group_id: [28, "string"],
    merged_from_event_ids: [29, "string", "list"],
    late_after_cancel: [30, "bool"],
    media_time: [31, "MediaTime"],
    seq_range: [32, "SeqRange"],
    scope: [33, "string"],
    target_lane: [34, "string"],
    amount: [35, "int64", "maybe"],
    payload: [36, "bytes"],
    extensions: [37, "map<string, bytes>"],
  },
  MediaTime: {
    sample_index: [1, "int64", "maybe"],
    pts_ms: [2, "int64", "maybe"],
  },
  SeqRange: {
    start: [1, "int64", "always"],
    end: [2, "int64", "always"],
  },
  Mute: {
    on: [1, "bool", "always"],
    key: [15, "string"],
  },
  Transcript: {
    from: [1, "string", "always"],
    of: [2, "string", "always"],
    text: [3, "string", "always"],
    final: [4, "bool", "always"],
  },
  Control: {
    kind: [1, "string", "always"],
    digit: [2, "string"],
    duration_ms: [3, "int64"],
    key: [15, "string"],
  },
  Speech: {
    began: [1, "bool", "always"],
    sample: [2, "int64", "always"],
  },
  Context: {
    role: [1, "string", "always"],
    text: [2, "string", "always"],
    key: [15, "string"],
  },
  ToolCall: {
    id: [1, "string", "always"],
    turn: [2, "string", "always"],
    name: [3, "string", "always"],
    arguments: [4, "string", "always"],
  },
  Respond: {
    key: [15, "string"],
  },
  Metric: {
    metric: [1, "Envelope", "null"],
  },
  Configure: {
    wishes: [1, "Wishes", "always"],
    key: [15, "string"],
  },
  AudioBegin: {
    generation: [1, "uint32", "always"],
    turn: [2, "string", "always"],
  },
  ToolResult: {
    id: [1, "string", "always"],
    output: [2, "string", "always"],
    failed: [3, "bool"],
    key: [15, "string"],
  },
  Fence: {
    generation: [1, "uint32", "always"],
    turn: [2, "string"],
    session: [3, "bool"],
  },
  Renew: {
    token: [1, "string", "always"],
    key: [15, "string"],
  },
  Route: {
    view: [1, "int64", "always"],
    endpoint: [2, "string", "always"],
  },
  Ping: {
    id: [1, "int64", "always"],
  },
  Pong: {
    id: [1, "int64", "always"],
    time_ms: [2, "int64", "always"],
  },
  Bye: {
  },
  Ended: {
    reason: [1, "string", "always"],
  },
};
