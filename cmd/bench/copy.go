package main

import (
	"io"
	"net"
	"os"
	"os/exec"
)

// copyWord makes this program the plain relay: its kind, LISTEN and UPSTREAM follow.
const copyWord = "copy-relay"

func copyCommand(kind, listen, upstream string) (*exec.Cmd, error) {
	self, err := os.Executable()
	return exec.Command(self, copyWord, kind, listen, upstream), err
}

// runAsCopy is the plain relay if this program was started as one; it comes back only
// if not, or with an error.
func runAsCopy() error {
	if len(os.Args) != 5 || os.Args[1] != copyWord {
		return nil
	}
	half := io.Copy
	switch os.Args[2] {
	case plainBuffer:
		half = copyBuffer
	case plainPieces:
		half = copyPieces
	}
	return copyRelay(half, os.Args[3], os.Args[4])
}

// copyRelay is the relay that everybody writes first: two goroutines a session,
// each in io.Copy, which on Linux splices.
func copyRelay(half func(io.Writer, io.Reader) (int64, error), listen, upstream string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			u, err := net.Dial("tcp", upstream)
			if err != nil {
				return
			}
			defer u.Close()
			one := func(to, from net.Conn) {
				if _, err := half(to, from); err != nil {
					to.Close()
					from.Close()
					return
				}
				to.(*net.TCPConn).CloseWrite()
			}
			done := make(chan struct{})
			go func() {
				one(u, c)
				close(done)
			}()
			one(c, u)
			<-done
		}()
	}
}

// copyBuffer is the same through io.Copy's own 32 KiB: what it does of any two
// connections that are not bare TCP, such as those counted, limited or of TLS.
func copyBuffer(to io.Writer, from io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
}

// copyPieces is the same with a Write for every KiB, which is as much as plain code
// can do to have segments of that size: nothing keeps the system from joining two.
func copyPieces(to io.Writer, from io.Reader) (int64, error) {
	return io.Copy(pieces{to}, struct{ io.Reader }{from})
}

type pieces struct{ io.Writer }

func (p pieces) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = p.Writer.Write(b[n:min(n+1<<10, len(b))])
		n += m
	}
	return n, err
}
