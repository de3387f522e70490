package wire_test

import (
	"fmt"

	"crimp/faults/wire"
)

func ExamplePair() {
	p := wire.NewPair(func(s wire.Segment) {
		fmt.Printf("%-10v %-10v %q\n", s.Dir, s.Part, s.Data)
	})
	p.Feed(wire.Upstream, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	p.Expect(wire.MethodOther)
	p.Feed(wire.Downstream, []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	// Output:
	// upstream   start_line "GET / HTTP/1.1\r\n"
	// upstream   field      "Host: a\r\n"
	// upstream   head_end   "\r\n"
	// downstream start_line "HTTP/1.1 200 OK\r\n"
	// downstream field      "Content-Length: 2\r\n"
	// downstream head_end   "\r\n"
	// downstream body       "hi"
}
