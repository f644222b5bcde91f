// SPDX-License-Identifier: Apache-2.0

// Package sip is a gateway for telephone calls: it answers SIP over UDP and TCP, and takes
// part in each call's sound by RTP. It bridges a call to a session and does nothing else:
// it registers nobody, forwards nothing, and mixes nothing.
//
//	INVITE --> who may call --> offer (SDP) --> Host.Begin --> 200 with the answer
//	RTP    --> source --> halves of 10 ms --> G.711 --> upsample --> jitter --> Ingress.Audio, Gap
//	           telephone-event, INFO, tones in band      --> Ingress.Control
//	re-INVITE, UPDATE: hold, resume, refresh             --> Ingress.Muted
//	BYE                                                  --> Ingress.Link(left)
//	           WriteFrame --> downsample --> G.711 --> RTP
//	           Close      --> BYE
//
// # A call
//
//	offered --(200 sent)--> answered --(ACK)--> confirmed --(BYE of either side)--> over
//	   |  CANCEL, refusal                          |  no RTP, no refresh
//	   +-----------------------> over <------------+
//
// # Rules
//
//  1. Who may call is said by the configuration: addresses, or a password (digest). A
//     server that listens beyond its own machine has one of them.
//  2. Each call has a port of its own out of a range, and listens to one source: the first
//     to send from the address that the offer named. It answers to where that sends from
//     (symmetric RTP), since a translator of addresses may have changed the port.
//  3. RTP's timestamp is where sound belongs, its sequence number only numbers packets: so
//     packets of any length of whole 10 ms do, and silence that is not sent becomes a gap.
//  4. Frames go out as they come from the runtime, at the pace of speech. Nothing is held
//     behind WriteFrame, so a fence has nothing to drop.
//  5. A key that is pressed is told once, though its event comes in many packets and its
//     end in three.
//  6. What comes from the network is untrusted: it is counted and dropped when it is
//     wrong. Calls, ports, addresses and messages are bounded.
//
// What is implemented of the standards, and what is not, is in docs/telephony.md.
package sip
