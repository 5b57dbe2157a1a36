package runtime

// WasmserveIdle says whether every goroutine waits but the one that asks, and in how many nanoseconds the next timer is
// due; -1 where there is none.
func WasmserveIdle() (bool, int64) {
	pp := getg().m.p.ptr()
	if !runqempty(pp) || !sched.runq.empty() {
		return false, -1
	}
	when := pp.timers.wakeTime()
	if when == 0 {
		return true, -1
	}
	return true, max(0, when-nanotime())
}
