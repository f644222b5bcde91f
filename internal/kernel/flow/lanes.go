// SPDX-License-Identifier: Apache-2.0

package flow

// Lane is an index of a lane, in order of priority.
type Lane uint8

// The lanes.
const (
	Control Lane = iota
	Data
	Telemetry
	laneCount
)

// Lanes is a bounded queue with three lanes and strict priority. One owner uses it;
// the zero value must be made with NewLanes.
type Lanes[T any] struct {
	rings [laneCount]ring[T]
}

// NewLanes makes lanes with the given bounds, each rounded up to a power of two.
func NewLanes[T any](control, data, telemetry int) *Lanes[T] {
	l := &Lanes[T]{}
	for lane, n := range [laneCount]int{control, data, telemetry} {
		l.rings[lane] = newRing[T](n)
	}
	return l
}

// Push queues an item; false says that the lane is full and the item was not taken.
func (l *Lanes[T]) Push(lane Lane, item *T) bool { return l.rings[lane].push(item) }

// Pop moves the next item into dst, by strict priority; false says that all lanes are
// empty.
func (l *Lanes[T]) Pop(dst *T) (Lane, bool) {
	for lane := range l.rings {
		if l.rings[lane].pop(dst) {
			return Lane(lane), true
		}
	}
	return 0, false
}

// Len gives the depth of a lane.
func (l *Lanes[T]) Len(lane Lane) int { return l.rings[lane].len() }

type ring[T any] struct {
	slots      []T
	mask       uint32
	head, tail uint32 // head: next to pop; tail: next to push; they wrap
}

func newRing[T any](n int) ring[T] {
	size := uint32(1)
	for int(size) < n {
		size <<= 1
	}
	return ring[T]{slots: make([]T, size), mask: size - 1}
}

func (r *ring[T]) push(item *T) bool {
	if r.tail-r.head == uint32(len(r.slots)) {
		return false
	}
	r.slots[r.tail&r.mask] = *item
	r.tail++
	return true
}

func (r *ring[T]) pop(dst *T) bool {
	if r.head == r.tail {
		return false
	}
	slot := &r.slots[r.head&r.mask]
	*dst = *slot
	var zero T
	*slot = zero // what a slot pointed to is not kept alive
	r.head++
	return true
}

func (r *ring[T]) len() int { return int(r.tail - r.head) }
