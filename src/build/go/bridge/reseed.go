package runtime

// WasmserveReseed draws the seeds of the runtime's generators anew, as at the start of a program.
func WasmserveReseed() {
	lock(&globalRand.lock)
	globalRand.init = false
	unlock(&globalRand.lock)
	randinit()
	mrandinit(getg().m)
}

// WasmserveHold holds the collector of garbage back while the host has memory allocated: a collection asks for the
// time, and nothing may be asked then.
func WasmserveHold(hold bool) {
	getg().m.preemptoff = ""
	if hold {
		getg().m.preemptoff = "the host has memory allocated"
	}
}

// WasmserveCollect begins the collection that is due, if one is.
func WasmserveCollect() {
	if trigger := (gcTrigger{kind: gcTriggerHeap}); trigger.test() {
		gcStart(trigger)
	}
}
