package bridge

import (
	"runtime"

	witRuntime "go.bytecodealliance.org/pkg/wit/runtime"
	poll "wit_component/wasi_io_poll"
)

// A goroutine waits for the host without holding up the others.
type waiter struct {
	pollable *poll.Pollable
	done     chan struct{}
}

var waiters []waiter

// Returns when the pollable is ready, which is dropped then.
func await(pollable *poll.Pollable) {
	done := make(chan struct{})
	waiters = append(waiters, waiter{pollable, done})
	<-done
}

// Runs the other goroutines until it is over, or until none of them can ever go on. While all of them wait, it waits in
// the host for what they do.
func runUntil(over func() bool) {
	for !over() {
		runtime.Gosched()
		idle, timer := runtime.WasmserveIdle()
		if idle && !over() && !waitForHost(timer) {
			return
		}
	}
}

// Runs the other goroutines until all of them wait.
func runOthers() {
	for {
		runtime.Gosched()
		if idle, _ := runtime.WasmserveIdle(); idle {
			return
		}
	}
}

// Waits in the host, for so many nanoseconds at most where there is a timer. Says whether there is anything to wait
// for.
func waitForHost(timer int64) bool {
	var pollables []*poll.Pollable
	for _, waiter := range waiters {
		pollables = append(pollables, waiter.pollable)
	}
	if timer >= 0 {
		pollables = append(pollables, poll.PollableFromOwnHandle(subscribeDuration(uint64(timer))))
	}
	if len(pollables) == 0 {
		return false
	}
	ready := poll.Poll(pollables)
	witRuntime.Unpin()
	if timer >= 0 {
		pollables[len(pollables)-1].Drop()
	}
	woken := map[int]bool{}
	for _, index := range ready {
		woken[int(index)] = true
	}
	var left []waiter
	for index, waiter := range waiters {
		if !woken[index] {
			left = append(left, waiter)
			continue
		}
		waiter.pollable.Drop()
		close(waiter.done)
	}
	waiters = left
	return true
}
