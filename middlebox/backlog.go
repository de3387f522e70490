package middlebox

// backlog is bytes that wait for a peer. The loop lends it, since few sessions have one.
type backlog struct {
	bytes []byte
	at    int       // bytes before it are out
	lone  []stretch // what is to leave apart
}

// stretch is a run of a backlog's bytes.
type stretch struct {
	from, to int
	number   uint64
}

// mark notes that the next n bytes to be pending leave apart.
func (p *backlog) mark(n int, number uint64) {
	if k := len(p.lone) - 1; k >= 0 && p.lone[k].number == number && p.lone[k].to == len(p.bytes) {
		p.lone[k].to += n
		return
	}
	p.lone = append(p.lone, stretch{len(p.bytes), len(p.bytes) + n, number})
}

// compact drops what is out.
func (p *backlog) compact() {
	p.bytes = p.bytes[:copy(p.bytes, p.bytes[p.at:])]
	for i := range p.lone {
		p.lone[i].from -= p.at
		p.lone[i].to -= p.at
	}
	p.at = 0
}

// block lends memory for bytes that have to wait; giveBack takes it again.
func (l *loop) block() *backlog {
	if n := len(l.spare); n > 0 {
		b := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return b
	}
	return &backlog{bytes: make([]byte, 0, l.tune.Buffer)}
}

func (l *loop) giveBack(b *backlog) {
	if len(l.spare) < 64 && cap(b.bytes) <= 4*l.tune.Buffer && cap(b.lone) <= 1024 {
		*b = backlog{bytes: b.bytes[:0], lone: b.lone[:0]}
		l.spare = append(l.spare, b)
	}
}
