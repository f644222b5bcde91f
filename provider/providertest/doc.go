// SPDX-License-Identifier: Apache-2.0

// Package providertest holds adapters to the contract of package provider, and gives
// tests engines that do what they are told.
//
// TestSTT, TestLLM and TestTTS are the conformance suites (nodes-providers-transports
// section 9, domain provider/<modality>/v1). An adapter's test calls its suite with a
// function that makes the adapter, and names the failures that it can provoke together
// with the outcome that each must have. The suites look at what the contract says and at
// nothing else: an adapter that passes may still recognise badly.
//
// FakeSTT, FakeLLM and FakeTTS are deterministic: what they deliver follows from their
// fields and the call. They wait only when told to, and break the contract only where an
// Injection says so.
package providertest
