package simnet

import (
	"bytes"
	"fmt"

	"crimp/middlebox/sys"
)

// Pipes: few, small, and short without notice.

type pipe struct {
	data bytes.Buffer
	size int
	lent bool
}

// Pipe lends a pipe drawn from the idle ones; false: all are lent.
func (k *Kernel) Pipe() (sys.Pipe, bool) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	var idle []int
	for i, p := range k.n.pipes {
		if !p.lent {
			idle = append(idle, i)
		}
	}
	if len(idle) == 0 {
		return 0, false
	}
	i := idle[k.n.rng.IntN(len(idle))]
	k.n.pipes[i].lent = true
	return sys.Pipe(i), true
}

func (n *Net) lent(p sys.Pipe) *pipe {
	if p < 0 || int(p) >= len(n.pipes) || !n.pipes[p].lent {
		panic(fmt.Sprintf("simnet: pipe %d is not lent", p))
	}
	return n.pipes[p]
}

// Fill moves some of what there is; that it is less than asked means nothing.
func (k *Kernel) Fill(p sys.Pipe, from sys.Socket, n int) (int, sys.Outcome) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	q, e := k.n.lent(p), k.own(from).e
	n = min(n, e.in.Len(), q.size-q.data.Len())
	if n <= 0 {
		if e.in.Len() > 0 {
			return 0, sys.Again // the pipe is full
		}
		_, o := e.read(make([]byte, 1), k.n.opt.ErrorOnce)
		return 0, o
	}
	n = k.n.some(n)
	q.data.Write(e.in.Next(n))
	return n, sys.OK
}

// Drain moves some; when bytes stay behind for no reason an edge comes at once.
func (k *Kernel) Drain(p sys.Pipe, to sys.Socket, n int) (int, sys.Outcome) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	q, x := k.n.lent(p), k.own(to)
	n = min(n, q.data.Len())
	if n <= 0 {
		return 0, sys.OK
	}
	m, o := x.e.write(q.data.Bytes()[:k.n.some(n)])
	q.data.Next(m)
	if o == sys.Again || o == sys.OK && m < n {
		x.starved = true
		x.edge = x.edge || x.e.writable()
	}
	return m, o
}

// Recall takes bytes back.
func (k *Kernel) Recall(p sys.Pipe, b []byte) int {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	n, _ := k.n.lent(p).data.Read(b)
	return n
}

// Return gives an empty pipe back.
func (k *Kernel) Return(p sys.Pipe) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	q := k.n.lent(p)
	if q.data.Len() > 0 {
		panic(fmt.Sprintf("simnet: pipe %d returned with %d bytes in it", p, q.data.Len()))
	}
	q.lent = false
}
