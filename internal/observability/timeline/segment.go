// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"path/filepath"
)

// segmentLog is stage B's hand on the disk: it lays whole frames into
// segments. It has one owner at a time and no goroutine. Every step may be
// repeated after an error, except a failed sync: the system may then have
// thrown the pages away and still report success the next time, so nothing
// after it can be trusted and fatal stays set.
type segmentLog struct {
	files     fileSystem
	dir       string
	limit     int64
	recording [16]byte

	file    segmentFile
	headed  bool   // the header of file is written
	segment uint32 // id of file
	offset  int64  // end of the whole frames in file
	records uint64 // in file
	chain   [32]byte
	seal    hash.Hash

	last   uint64 // sequence of the last frame written
	synced uint64 // sequence up to which all is on the disk
	bytes  int64  // written to all segments
	fatal  error
}

func (l *segmentLog) path() string { return filepath.Join(l.dir, segmentName(l.segment)) }

// write lays the frames of b into segments and says how many bytes and
// records of it are done, also when it fails in the middle.
func (l *segmentLog) write(b []byte) (done, records int, err error) {
	for done < len(b) {
		if err := l.begin(); err != nil {
			return done, records, err
		}
		size, count := l.fit(b[done:])
		if count == 0 {
			if err := l.finishSegment(); err != nil {
				return done, records, err
			}
			continue
		}
		if err := l.put(b[done : done+size]); err != nil {
			return done, records, err
		}
		done += size
		records += count
	}
	return done, records, nil
}

// fit measures how many whole frames of b the current segment still takes. A
// frame that is larger than a segment gets one for itself.
func (l *segmentLog) fit(b []byte) (size, count int) {
	for size < len(b) {
		n := frameLength(b[size:])
		over := l.offset+int64(size)+int64(n) > l.limit
		if over && l.records+uint64(count) > 0 {
			break
		}
		size += n
		count++
	}
	return size, count
}

// put writes whole frames at the end of the current segment.
func (l *segmentLog) put(frames []byte) error {
	if l.fatal != nil {
		return l.fatal
	}
	if _, err := l.file.WriteAt(frames, l.offset); err != nil {
		return diskError("write", l.path(), err)
	}
	l.offset += int64(len(frames))
	l.bytes += int64(len(frames))
	for at := 0; at < len(frames); at += frameLength(frames[at:]) {
		l.seal.Write(frames[at : at+frameHead])
		l.last = binary.LittleEndian.Uint64(frames[at+frameHead+2:])
		l.records++
	}
	return nil
}

// putEnd writes the End record behind everything else; it is never the first
// of a segment, whatever the limit says.
func (l *segmentLog) putEnd(end *End, table *crc32.Table) error {
	if err := l.begin(); err != nil {
		return err
	}
	l.seal.Sum(end.Seal[:0])
	end.Segments = l.segment
	end.Sequence = l.last + 1
	if err := l.put(appendFrame(nil, table, TypeEnd, end.Sequence, end.appendTo(nil))); err != nil {
		return err
	}
	return l.sync()
}

// begin opens the next segment when there is none.
func (l *segmentLog) begin() error {
	if l.fatal != nil {
		return l.fatal
	}
	if l.headed {
		return nil
	}
	if l.file == nil {
		if l.segment == maxSegment {
			l.fatal = fmt.Errorf("timeline: %s: recording has %d segments, no more fit: choose a larger segment size", l.dir, l.segment)
			return l.fatal
		}
		next := filepath.Join(l.dir, segmentName(l.segment+1))
		file, err := l.files.create(next)
		if err != nil {
			return diskError("create", next, err)
		}
		l.file = file
		l.segment++
	}
	h := header{
		major: FormatMajor, minor: FormatMinor, segment: l.segment,
		first: l.last + 1, recording: l.recording, chain: l.chain,
	}.encode()
	if _, err := l.file.WriteAt(h, 0); err != nil {
		return diskError("write", l.path(), err)
	}
	if err := l.files.syncDir(l.dir); err != nil {
		return diskError("sync folder of", l.path(), err)
	}
	l.seal = sha256.New()
	l.seal.Write(h)
	l.offset = int64(len(h))
	l.bytes += l.offset
	l.records = 0
	l.headed = true
	return nil
}

// finishSegment syncs and closes the current segment, so that no later crash can
// tear it: "truncates only in the last segment" (engine section 3).
func (l *segmentLog) finishSegment() error {
	if err := l.sync(); err != nil {
		return err
	}
	file := l.file
	l.file, l.headed = nil, false
	l.seal.Sum(l.chain[:0])
	if err := file.Close(); err != nil {
		l.fatal = diskError("close", l.path(), err)
		return l.fatal
	}
	return nil
}

// sync forces the current segment to the disk.
func (l *segmentLog) sync() error {
	if l.fatal != nil {
		return l.fatal
	}
	if l.file == nil || l.synced == l.last {
		return nil
	}
	if err := l.file.Sync(); err != nil {
		l.fatal = diskError("sync", l.path(), err)
		return l.fatal
	}
	l.synced = l.last
	return nil
}

// close lets the file go. After an error it tries to take half a frame off,
// so that the recording ends at a record; the reader copes when it cannot.
func (l *segmentLog) close(failed bool) error {
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	if failed && l.headed {
		_ = file.Truncate(l.offset) // best effort on a disk that already fails
	}
	if err := file.Close(); err != nil {
		return diskError("close", l.path(), err)
	}
	return nil
}
