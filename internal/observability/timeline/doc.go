// SPDX-License-Identifier: Apache-2.0

// Package timeline is the write-ahead log of a session: an append-only
// recording of typed records that survives a crash at any byte and says
// plainly what of it is good (evidence-replay section 4, engine section 3).
//
// The package stores payloads; it does not know what inputs or decisions
// mean. The kernel's codec makes those bytes, the replayer reads them.
//
// # Stages
//
//	Append --> stage A: bounded memory, never blocks --> stage B: segments on disk
//	             |                                          |
//	             +-- full: detail is dropped and counted    +-- fails: retry 100 ms .. 5 s,
//	                 baseline is refused (abort)                lag grows, Stats shows it
//
// # Invariants
//
//  1. Append never waits for the disk (except in synchronous mode, which
//     exists for virtual time, where nobody waits).
//  2. Sequences are contiguous: 1, 2, 3, ... across all segments. What could
//     not be kept takes no sequence; a Gap record stands where it is missing.
//  3. Baseline outlives detail: detail never takes the reserve, and the last
//     part of the reserve is kept for what follows a refused baseline record
//     (the terminal and the close marker).
//  4. A recording is whole if and only if it ends with an End record that
//     agrees with everything before it. An error on the way means no End.
//  5. Only the last segment may be cut. It is synced before the next begins,
//     so a fault elsewhere is corruption and is reported as such.
//  6. The reader yields a prefix of what was written, or less; never a record
//     that was not written, and never a panic, whatever the bytes are.
//
// # Format 1.0
//
// A recording is a folder (by custom NAME.parley) with the segments
// 000001.wal, 000002.wal, ...; other names are no part of it. All integers
// are little endian; all CRCs are CRC-32C (Castagnoli, as in RFC 3720).
//
// A segment begins with a header:
//
//	offset size
//	     0    9  magic "PARLEYWAL"
//	     9    1  0x00
//	    10    2  format major
//	    12    2  format minor
//	    14    2  header length in bytes, CRC included: 88 in format 1.0
//	    16    4  segment id, from 1
//	    20    4  reserved, 0
//	    24    8  sequence of the first record of this segment
//	    32   16  recording id, equal in all segments
//	    48   32  chain: seal of the previous segment, zero in the first
//	    80    4  reserved, 0
//	    84    4  CRC of bytes 0 .. header length-5
//
// The first 16 bytes and the place of the CRC (the last four bytes of the
// header) stay as they are in every later major, so that an older reader can
// tell a newer recording from a damaged one. A newer major is refused. A
// newer minor is read: a longer header is checked and its surplus ignored,
// records of an unknown type, or with flag bit 7 set, are skipped and counted.
//
// Records follow the header without padding:
//
//	offset size
//	     0    4  length n of what the CRC covers: 10 + payload, at most 10 + 1 MiB
//	     4    4  CRC of the n bytes that follow
//	     8    1  type
//	     9    1  flags, 0 in format 1.0
//	    10    8  sequence
//	    18  n-10 payload
//
// The seal of a segment is the SHA-256 of its header followed by the first
// eight bytes (length and CRC) of each of its records. As the header holds
// the seal before it, each seal covers the whole recording up to there. The
// seal finds segments that were cut, swapped, repeated or that come from
// elsewhere; it is no protection against forgery.
//
// Payloads that this package defines:
//
//	1 meta        JSON, see Meta; always the first record (sequence 1)
//	2 input       opaque
//	3 decision    opaque
//	4 pass        opaque: end of an arbitration pass
//	5 checkpoint  opaque: rolling digest and counters
//	6 text        opaque: content
//	7 audio       u8 direction, u8 encoding, u16 0, u32 samples per second,
//	              u64 index of the first sample, PCM (see Audio)
//	8 export      u64: all records up to this sequence are on the disk; written
//	              after each group commit (the marker export_synced)
//	9 end         32 digest, 32 seal of this segment up to here, u64 sequence of
//	              this record, u32 segments, u64 dropped detail records, u64
//	              their payload bytes, u64 refused baseline records,
//	              u16 length and the reason in UTF-8; the last record
//	10 gap        u64 detail records dropped here, u64 their payload bytes,
//	              u64 baseline records refused here
//
// # Reading
//
// Recovery scans to the first bad record. In the last segment, a bad tail
// with nothing valid behind it is a cut (ErrTruncated) and Repair may take it
// off. Anything else is corruption (ErrCorrupt): the records before it are
// good, nothing after it is accepted.
package timeline
