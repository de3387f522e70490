// Package sys is the face of the operating system that the relay needs: sockets,
// readiness, pipes and a clock. It is the only package with unsafe and system
// calls; package simnet has the same face in memory, with a seed.
//
// Every call returns at once except [Kernel.Wait]. A Kernel belongs to one loop
// and one goroutine; only [Kernel.Wake] may be called from another.
package sys

import (
	"net/netip"
	"time"
)

// Outcome is what a call came to, the errnos of all systems sorted into what a
// relay does about them.
type Outcome uint8

const (
	OK    Outcome = iota // done, or partly done
	Again                // nothing possible now: wait for an Event
	EOF                  // the peer's FIN, all before it was read
	Reset                // the connection is gone: RST, time-out, refused, broken pipe
	Full                 // no descriptor or memory for it: try later
)

// Socket is a socket's number. A number is not given out again before the next
// Wait, so a stale event of a batch cannot hit a newcomer.
type Socket int32

// None is no socket.
const None Socket = -1

// Pipe is a kernel pipe lent by Kernel.Pipe.
type Pipe int32

// Ready is a set of readiness flags.
type Ready uint8

const (
	In  Ready = 1 << iota // something to read or accept
	Out                   // room to write, or connected
	Fin                   // the peer sent FIN (there may be bytes before it)
	Err                   // error or hang-up: Read tells which
)

// Event is a change of readiness (edge-triggered: it comes again only after
// new data, or after a call answered Again or was short).
type Event struct {
	Sock  Socket
	Ready Ready
}

// Writing is one of many writes.
type Writing struct {
	Sock Socket
	Data []byte
	N    int // as from Write
	Out  Outcome
}

// Filter is which segments vanish: those that any of its fields names.
type Filter struct {
	All  bool     // all
	Fin  bool     // those with FIN
	Loss float64  // this share, by the kernel's own draw
	From []Caller // all of these senders'
}

// Caller is a sender: an address range, and a port unless 0.
type Caller struct {
	Prefix netip.Prefix
	Port   uint16
}

// Kernel is one loop's face of the operating system.
type Kernel interface {
	// Now is the loop's clock: it never goes back.
	Now() time.Time
	// Wait fills ev with what became ready, waiting up to d (0: just look; below 0:
	// for ever). It may return early with nothing. It first closes for good what
	// was closed before it.
	Wait(d time.Duration, ev []Event) int
	// Wake makes the present or next Wait return early. Safe from any goroutine.
	Wake()
	// Listen binds and listens; port 0 is resolved in the address returned. No
	// address in use is ever shared with another process.
	Listen(at netip.AddrPort) (Socket, netip.AddrPort, error)
	// Accept takes the next connection: OK, Again, Full. After Full no Event comes
	// for those that wait already: ask again after a while.
	Accept(l Socket) (Socket, netip.AddrPort, Outcome)
	// Refuse takes the next connection where Accept had no descriptor for one, with
	// the one that is kept for this, and ends it at once: with FIN, or with RST. OK:
	// one is gone, Again: none waits, Full: not even that descriptor is to be had.
	Refuse(l Socket, fin bool) Outcome
	// Connect starts a connection: Again means Out or Err will tell. Reset or Full
	// come with None, and Connected(None) says why. Soon says that bytes for the peer
	// are at hand: the last word of the handshake may leave with them, which saves a segment.
	Connect(to netip.AddrPort, soon bool) (Socket, Outcome)
	// Connected says how a Connect ended: OK, Again, Reset. Error says why. A
	// connection that was made and reset since is OK: Read gives what was said on it.
	Connected(s Socket) (Outcome, error)
	// Adopt registers a socket that another Kernel of this kind accepted and released.
	Adopt(s Socket)
	// Release takes a socket out of this Kernel's care without closing it, for another to Adopt.
	Release(s Socket)
	// Read reads: n>0 with OK; Again, EOF, Reset with n==0. A short read found the
	// socket empty at that instant, but for an end (Fin, Err) that was there already.
	// After all bytes it says how the input ended, and goes on saying it: EOF if
	// the peer's FIN came, Reset if not, also when Write or Drain was told of the
	// error before (a system tells it only once).
	Read(s Socket, b []byte) (int, Outcome)
	// Write writes what fits: OK with n (short: wait for Out), Again with 0, Reset
	// (what was read before, and how the input ended, Read still tells).
	Write(s Socket, b []byte) (int, Outcome)
	// WriteMany is a Write each, in their order, of sockets that differ; what it came
	// to is noted there. No Data may be empty.
	WriteMany(ws []Writing)
	// WriteApart is Write of pieces, each of which leaves in segments of its own:
	// nothing written later is joined to it, nor it to what was written apart before
	// (MSG_EOR; elsewhere as far as TCP_NODELAY goes). It counts bytes. No piece may
	// be empty.
	WriteApart(s Socket, pieces [][]byte) (int, Outcome)
	// Pipe lends an empty pipe; false: none to be had, copy instead.
	Pipe() (Pipe, bool)
	// Fill moves up to n bytes from a socket into the pipe without their being
	// seen: as Read, but short for reasons of its own, and Again also when the pipe
	// is full. Fill an empty pipe until Again.
	Fill(p Pipe, from Socket, n int) (int, Outcome)
	// Drain moves up to n bytes from the pipe into a socket: as Write.
	Drain(p Pipe, to Socket, n int) (int, Outcome)
	// Recall reads bytes back out of the pipe; 0: it is empty.
	Recall(p Pipe, b []byte) int
	// Return gives a lent pipe back; it panics unless the pipe is empty.
	Return(p Pipe)
	// ShutdownWrite sends FIN after all written bytes.
	ShutdownWrite(s Socket)
	// Unacked is how many written bytes the peer's kernel has not acknowledged; a FIN
	// counts one (SIOCOUTQ). Once the connection is reset it stands still (macOS: 0).
	Unacked(s Socket) int
	// Unread is how many bytes wait to be read (FIONREAD).
	Unread(s Socket) int
	// Names are the two addresses of a connection; the zero value for one that is not
	// known, or no longer: of the peer once the connection was reset.
	Names(s Socket) (own, peer netip.AddrPort)
	// Filter makes segments that come in on a socket, a listening one too, vanish
	// before TCP sees them; the zero Filter lets all through again. With None it
	// says whether this process may: nil, or an error that says what it needs.
	Filter(s Socket, f Filter) error
	// Reset closes with RST, dropping what is still queued (SO_LINGER 0).
	Reset(s Socket)
	// Close closes: FIN if nothing is unread, else the kernel sends RST.
	Close(s Socket)
	// Free ends the Kernel itself; sockets must be closed before.
	Free()
}

// WriteInTurn is WriteMany for a Kernel that has no better way.
func WriteInTurn(k Kernel, ws []Writing) {
	for i := range ws {
		w := &ws[i]
		w.N, w.Out = k.Write(w.Sock, w.Data)
	}
}

// WriteEach is WriteApart for a Kernel whose every Write leaves apart.
func WriteEach(k Kernel, s Socket, pieces [][]byte) (n int, out Outcome) {
	for _, b := range pieces {
		m, o := k.Write(s, b)
		if o != OK {
			if n > 0 {
				break // the next call meets it, too
			}
			return 0, o
		}
		if n += m; m < len(b) {
			break
		}
	}
	return n, OK
}
