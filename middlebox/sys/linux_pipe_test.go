//go:build linux

package sys

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

// Pipes are large or not lent at all, and one Kernel does not take them all.
func TestPipesAreLargeAndFew(t *testing.T) {
	k := newKernel(t)
	var lent []Pipe
	for {
		p, ok := k.Pipe()
		if !ok {
			break
		}
		lent = append(lent, p)
		size, err := unix.FcntlInt(uintptr(k.pipes.all[p].r), unix.F_GETPIPE_SZ, 0)
		if err != nil || size < pipeSize {
			t.Errorf("pipe %d takes %d bytes, %v", p, size, err)
		}
	}
	if len(lent) == 0 || len(lent) > pipesMost {
		t.Fatalf("%d pipes were lent, want 1 to %d", len(lent), pipesMost)
	}
	for _, p := range lent {
		k.Return(p)
	}
	if p, ok := k.Pipe(); !ok {
		t.Error("of the returned pipes none is lent again")
	} else {
		k.Return(p)
	}
	defer func() {
		if recover() == nil {
			t.Error("a pipe was returned twice")
		}
	}()
	k.Return(lent[0])
}

// A megabyte and more goes through a pipe unharmed, in pieces as they come.
func TestSpliceMovesAStream(t *testing.T) {
	k := newKernel(t)
	from, source := accepted(t, k)
	to, sink := accepted(t, k)
	data := make([]byte, 5<<20)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	go func() {
		source.Write(data)
		source.CloseWrite()
	}()
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(sink)
		got <- b
	}()
	p, ok := k.Pipe()
	if !ok {
		t.Fatal("no pipe was lent")
	}
	held := 0
	for ended := false; !ended || held > 0; {
		if held == 0 {
			n, o := k.Fill(p, from, 1<<20)
			switch o {
			case EOF:
				ended = true
			case Again:
				await(t, k, from, In)
			case OK:
				held = n
			default:
				t.Fatal(o)
			}
			continue
		}
		n, o := k.Drain(p, to, held)
		if held -= n; o == Again {
			await(t, k, to, Out)
		} else if o != OK {
			t.Fatal(o)
		}
	}
	k.Return(p)
	k.ShutdownWrite(to)
	if b := <-got; !bytes.Equal(b, data) {
		t.Errorf("%d bytes arrived, %d were sent, or they differ", len(b), len(data))
	}
}
