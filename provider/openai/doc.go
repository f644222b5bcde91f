// SPDX-License-Identifier: Apache-2.0

// Package openai is the language-model adapter for servers that speak OpenAI's chat
// completions over HTTP with server-sent events: OpenAI itself, Ollama, vLLM, llama.cpp,
// LM Studio, Groq, OpenRouter and others, told apart by the base URL alone. It is a thin
// client on net/http.
//
// # Invariants
//
//  1. The key goes into one request header and nowhere else: no error, outcome, log line
//     or printed configuration holds it.
//  2. What the server says of a failure reaches Outcome.Detail only as its status and its
//     short codes; its messages may quote the caller and are dropped.
//  3. Every read is bounded: a line, an error body, a list of models, a whole reply.
//  4. Redirects are not followed, so neither key nor conversation goes to another host.
//  5. Probe talks to loopback addresses alone, and takes a server only when it answers as
//     one of this kind.
package openai
