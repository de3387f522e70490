package middlebox

import "time"

// alarms is a binary heap of tasks by the time at which they are to be queued.
// A task knows its place in it, so moving or removing one costs no search: a
// session's alarm moves with nearly every chunk that a rule delays.
type alarms struct{ heap []*task }

// set gives t its one alarm; the zero time removes it.
func (a *alarms) set(t *task, at time.Time) {
	switch {
	case t.at.Equal(at):
	case at.IsZero():
		a.remove(t)
	case t.place == 0:
		t.at = at
		a.heap = append(a.heap, t)
		t.place = int32(len(a.heap))
		a.up(len(a.heap) - 1)
	default:
		t.at = at
		a.up(int(t.place) - 1)
		a.down(int(t.place) - 1)
	}
}

// next is when the first alarm is due; zero: there is none.
func (a *alarms) next() time.Time {
	if len(a.heap) == 0 {
		return time.Time{}
	}
	return a.heap[0].at
}

// due takes out the first alarm if it is due, and says how late it is; nil: none is.
func (a *alarms) due(now time.Time) (t *task, late time.Duration) {
	if len(a.heap) == 0 || a.heap[0].at.After(now) {
		return nil, 0
	}
	t = a.heap[0]
	late = now.Sub(t.at)
	a.remove(t)
	return t, late
}

func (a *alarms) remove(t *task) {
	i, last := int(t.place)-1, len(a.heap)-1
	t.at, t.place = time.Time{}, 0
	if i < 0 {
		return
	}
	moved := a.heap[last]
	a.heap[last] = nil
	a.heap = a.heap[:last]
	if i == last {
		return
	}
	a.heap[i] = moved
	moved.place = int32(i + 1)
	a.up(i)
	a.down(int(moved.place) - 1)
}

func (a *alarms) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !a.heap[i].at.Before(a.heap[parent].at) {
			return
		}
		a.swap(i, parent)
		i = parent
	}
}

func (a *alarms) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(a.heap) {
			return
		}
		if right := child + 1; right < len(a.heap) && a.heap[right].at.Before(a.heap[child].at) {
			child = right
		}
		if !a.heap[child].at.Before(a.heap[i].at) {
			return
		}
		a.swap(i, child)
		i = child
	}
}

func (a *alarms) swap(i, j int) {
	h := a.heap
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = int32(i+1), int32(j+1)
}
