package simnet

// Loops in goroutines of their own (Options.Park). Such a loop blocks in Wait
// until the driver calls Turn, and the driver blocks in Turn until the loop is
// back in Wait, so the two alternate and the run stays repeatable. Wake lets the
// loop go by itself, for a call that the driver makes into the box may wait for the
// loop's answer; after such a call the driver calls Settle.

// Turn lets the loop run from its Wait to its next one.
func (k *Kernel) Turn() {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	k.await(func() bool { return k.parked })
	k.turn = true
	k.moved.Broadcast()
	k.await(func() bool { return k.parked && !k.turn && !k.woken })
}

// Settle waits until the loop is back in its Wait.
func (k *Kernel) Settle() {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	k.await(func() bool { return k.parked && !k.woken })
}

// await waits for something to become true of the loop, or for the end of the Kernel.
func (k *Kernel) await(ready func() bool) {
	for !ready() && !k.freed {
		k.moved.Wait()
	}
}

// park blocks the loop in its Wait.
func (k *Kernel) park() {
	k.parked, k.idle = true, true
	k.moved.Broadcast()
	for !k.turn && !k.woken {
		k.moved.Wait()
	}
	k.parked, k.turn = false, false
}
