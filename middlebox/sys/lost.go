//go:build linux || darwin

package sys

import "slices"

// lost are sockets that were adopted in vain, as the system had no memory to watch
// them: the next Wait says that they are gone.
type lost []Socket

// report says of as many as there is room for that they are gone; they are then
// forgotten.
func (l *lost) report(ev []Event) int {
	n := min(len(ev), len(*l))
	for i, s := range (*l)[:n] {
		ev[i] = Event{s, In | Fin | Err}
	}
	*l = slices.Delete(*l, 0, n)
	return n
}

// forget leaves out one that is closed: its number may soon be another's.
func (l *lost) forget(s Socket) {
	if i := slices.Index(*l, s); i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
}
