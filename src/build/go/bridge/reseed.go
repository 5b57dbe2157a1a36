package runtime

// WasmserveReseed draws the seeds of the runtime's generators anew, as at the start of a program.
func WasmserveReseed() {
	lock(&globalRand.lock)
	globalRand.init = false
	unlock(&globalRand.lock)
	randinit()
	mrandinit(getg().m)
}
