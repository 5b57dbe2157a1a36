package bridge

import (
	"context"
	"os"
	"runtime"
	"slices"
	"time"

	poll "wit_component/wasi_io_poll"
)

//go:wasmimport wasi:clocks/monotonic-clock@0.2.10 subscribe-duration
func subscribeDuration(nanoseconds uint64) int32

// There is one thread, and whoever waits for the host would hold up all other goroutines. So everybody else goes first,
// and the host is asked for all that is waited for. A timer of the runtime is late by so much at most.
const (
	firstLook = time.Millisecond
	lastLook  = 16 * time.Millisecond
)

// What goroutines wait for.
var awaited []*poll.Pollable

// When nobody waits any longer, although what is waited for has not happened.
type limit struct {
	deadline time.Time
	ctx      context.Context
}

func (l limit) err() error {
	if !l.deadline.IsZero() && !time.Now().Before(l.deadline) {
		return os.ErrDeadlineExceeded
	}
	if l.ctx != nil {
		// A timer of the runtime comes after the deadline that it is for.
		if deadline, has := l.ctx.Deadline(); has && !time.Now().Before(deadline) {
			return context.DeadlineExceeded
		}
		return l.ctx.Err()
	}
	return nil
}

// Waits until something is ready. The error says why it is not.
func wait(ready *poll.Pollable, until limit) error {
	if ready.Ready() {
		return nil
	}
	awaited = append(awaited, ready)
	defer forget(ready)
	look := firstLook
	for {
		runtime.Gosched()
		// Somebody has closed meanwhile what this belongs to.
		if !slices.Contains(awaited, ready) || ready.Ready() {
			return nil
		}
		if err := until.err(); err != nil {
			return err
		}
		tick := poll.PollableFromOwnHandle(subscribeDuration(uint64(look)))
		first := poll.Poll(append(awaited[:len(awaited):len(awaited)], tick))
		tick.Drop()
		if len(first) == 1 && int(first[0]) == len(awaited) {
			look = min(2*look, lastLook)
		}
	}
}

// Whoever waits for it waits for nothing any longer.
func drop(ready **poll.Pollable) {
	if *ready != nil {
		forget(*ready)
		(*ready).Drop()
		*ready = nil
	}
}

func forget(ready *poll.Pollable) {
	if i := slices.Index(awaited, ready); i >= 0 {
		awaited = slices.Delete(awaited, i, i+1)
	}
}
