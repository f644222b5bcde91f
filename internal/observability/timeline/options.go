// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"fmt"
	"time"
)

// SyncPolicy says how often stage B forces written records to the disk, as a
// group. The zero value syncs when a segment is full, on Sync and on Close: a
// killed process then loses nothing that was written, a power cut may.
type SyncPolicy struct {
	// Records: sync when so many records were written since the last; 0 is never.
	Records int
	// Interval: sync when the oldest unsynced record is so old; 0 is never.
	// Synchronous mode has no clock and ignores it.
	Interval time.Duration
}

// Options of a Writer. The zero value of each field is its default.
type Options struct {
	// RecordingID marks all segments; zero draws a random one.
	RecordingID [16]byte
	// Meta becomes the first record.
	Meta Meta
	// Overwrite removes the segments of an earlier recording in the folder.
	// Without it Create refuses a folder that is not empty.
	Overwrite bool
	// Synchronous writes within Append when a batch is full, without a
	// goroutine or a clock: for virtual time, where the disk may take its time.
	Synchronous bool

	// SegmentBytes is the size at which the next segment begins; 64 MiB.
	SegmentBytes int64
	// CapacityRecords bounds stage A; 4096 (evidence-replay section 4).
	CapacityRecords int
	// ReserveRecords of them only baseline may take; 256 (same place).
	ReserveRecords int
	// CapacityBytes bounds stage A; 4 MiB.
	CapacityBytes int
	// ReserveBytes of them only baseline may take; 256 KiB.
	ReserveBytes int
	// FlushEvery is how long stage B gathers records before it writes them:
	// what a killed process can lose; 100 ms.
	FlushEvery time.Duration
	// Sync is the group commit policy.
	Sync SyncPolicy
	// CloseTimeout bounds Close when the disk hangs; 5 s.
	CloseTimeout time.Duration

	files fileSystem // nil is the real disk
}

const (
	defaultSegmentBytes    = 64 << 20
	minSegmentBytes        = 256
	defaultCapacityRecords = 4096
	defaultReserveRecords  = 256
	defaultCapacityBytes   = 4 << 20
	defaultReserveBytes    = 256 << 10
	defaultFlushEvery      = 100 * time.Millisecond
	defaultCloseTimeout    = 5 * time.Second

	// The first part of the reserve is for any baseline, one part in
	// closingShare for what follows a refused baseline record.
	closingShare = 4

	// Retries of stage B, doubling (evidence-replay section 4).
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second

	// flushBytes is the batch that is worth a write before FlushEvery is over.
	flushBytes = 32 << 10
	// keepBytes is the largest buffer that a writer keeps for small batches.
	keepBytes = 64 << 10
)

// withDefaults fills zero fields in.
func (o Options) withDefaults() Options {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.CapacityRecords == 0 {
		o.CapacityRecords = defaultCapacityRecords
	}
	if o.ReserveRecords == 0 {
		o.ReserveRecords = min(defaultReserveRecords, o.CapacityRecords/2)
	}
	if o.CapacityBytes == 0 {
		o.CapacityBytes = defaultCapacityBytes
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = min(defaultReserveBytes, o.CapacityBytes/2)
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = defaultFlushEvery
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = defaultCloseTimeout
	}
	if o.files == nil {
		o.files = disk{}
	}
	return o
}

// Validate reports every fault of the options at once, as ErrOptions.
func (o Options) Validate() error {
	o = o.withDefaults()
	var faults []error
	check := func(ok bool, field string, value any, remedy string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: %s is %v: %s", ErrOptions, field, value, remedy))
		}
	}
	check(o.SegmentBytes >= minSegmentBytes, "SegmentBytes", o.SegmentBytes, "give at least 256")
	check(o.CapacityRecords >= 8, "CapacityRecords", o.CapacityRecords, "give at least 8")
	check(o.ReserveRecords >= closingShare && o.ReserveRecords < o.CapacityRecords,
		"ReserveRecords", o.ReserveRecords, "give at least 4 and less than CapacityRecords")
	check(o.CapacityBytes >= 1024, "CapacityBytes", o.CapacityBytes, "give at least 1024")
	check(o.ReserveBytes >= 256 && o.ReserveBytes < o.CapacityBytes,
		"ReserveBytes", o.ReserveBytes, "give at least 256 and less than CapacityBytes")
	check(o.FlushEvery > 0, "FlushEvery", o.FlushEvery, "give a positive duration")
	check(o.CloseTimeout > 0, "CloseTimeout", o.CloseTimeout, "give a positive duration")
	check(o.Sync.Records >= 0, "Sync.Records", o.Sync.Records, "give 0 or more")
	check(o.Sync.Interval >= 0, "Sync.Interval", o.Sync.Interval, "give 0 or more")
	return errors.Join(faults...)
}
