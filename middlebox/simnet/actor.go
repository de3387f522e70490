package simnet

// Parting is what an Actor does when it has said everything.
type Parting uint8

const (
	Stay      Parting = iota // nothing: the other side is to end it
	HalfClose                // CloseWrite, and read on to the end
	Leave                    // Close, whatever is still to come
	Slam                     // Reset
)

// Actor moves a peer by chance: it sends and reads in pieces of any size, in
// any order, and parts as told. Where it needs a reply before it speaks, the
// driver sets Say as replies come in.
type Actor struct {
	Peer *Peer
	Say  []byte // what is left to send
	Then Parting
	// Deaf is after how many bytes it reads no more, ever; below 0: never.
	Deaf int

	parted bool
}

// Move does one thing the actor can do now. False: there is nothing, until
// the world or the loop has moved.
func (a *Actor) Move() bool {
	p := a.Peer
	if !p.Connected() || p.Closed() {
		return false
	}
	if p.n.rng.IntN(2) == 0 {
		return a.speak() || a.hear()
	}
	return a.hear() || a.speak()
}

// Done says that the actor will not move any more unless it gets more to say.
func (a *Actor) Done() bool { return a.Peer.Closed() || a.Peer.Refused() }

func (a *Actor) speak() bool {
	p := a.Peer
	if len(a.Say) > 0 && !p.Broken() {
		n := p.Send(a.Say[:p.n.some(len(a.Say))])
		a.Say = a.Say[n:]
		return n > 0
	}
	if a.parted || a.Then == Stay {
		return false
	}
	a.parted = true
	switch a.Then {
	case HalfClose:
		p.CloseWrite()
	case Leave:
		p.Close()
	case Slam:
		p.Reset()
	}
	return true
}

// hear reads, and closes when it has heard the end and said its own.
func (a *Actor) hear() bool {
	p := a.Peer
	most := a.Deaf - len(p.Got())
	if a.Deaf < 0 {
		most = p.Buffered()
	}
	before := p.End()
	if most = min(most, p.Buffered()); most > 0 {
		p.Read(p.n.some(most))
		return true
	}
	if a.Deaf >= 0 {
		return false
	}
	p.Read(0)
	switch p.End() {
	case Open:
		return false
	case FIN:
		if len(a.Say) == 0 && (a.parted || a.Then == Stay) || p.Broken() {
			p.Close()
			return true
		}
		return before == Open
	}
	p.Close()
	return true
}
