package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/middlebox"
)

// viewer shows the chunks of a capture: as text, as JSON or in a file.
type viewer struct {
	see     func(middlebox.Chunk) error
	close   func() error
	session string // the capture is over with it
	left    int64  // pieces still to be shown; below 0: any number
}

// openViewer makes the one that the flags ask for.
func openViewer(c *cli.Context, o middlebox.CaptureOptions) (*viewer, error) {
	v := &viewer{session: o.Session, left: -1, close: func() error { return nil }}
	if n, given := flagValue[int64](c, "limit"); given {
		v.left = n
	}
	w := c.App.Writer
	switch name := c.String("write"); {
	case name == "-":
		return v, v.toPcapng(w, func() error { return nil })
	case name != "":
		file, err := os.Create(name)
		if err != nil {
			return nil, codef(exitFailed, "--write: %s: %s", name, reason(err))
		}
		return v, v.toPcapng(file, file.Close)
	case c.Bool("json"):
		v.see = func(k middlebox.Chunk) error { return printJSON(w, k) }
	default:
		v.see = func(k middlebox.Chunk) error { _, err := io.WriteString(w, chunkText(k)); return err }
	}
	return v, nil
}

// toPcapng writes what is seen as a file, each piece at once: another program may be
// reading it.
func (v *viewer) toPcapng(w io.Writer, shut func() error) error {
	buffered := bufio.NewWriterSize(w, 256<<10)
	p := newPcapng(buffered)
	v.see = func(k middlebox.Chunk) error {
		p.chunk(k)
		return buffered.Flush()
	}
	v.close = func() error {
		p.end()
		return errors.Join(buffered.Flush(), shut())
	}
	return buffered.Flush()
}

// show shows what there is until the capture is over. When its time is, it is ended,
// and what it has by then is still shown.
func (v *viewer) show(box *control.Client, shown *control.Capturing, over context.Context) error {
	done := over.Done()
	for {
		select {
		case k, open := <-shown.C:
			if !open {
				return box.Ping(context.Background()) // it says why the connection ended
			}
			if k.What == "ended" {
				return nil
			}
			if err := v.see(k); err != nil {
				return err
			}
			if k.What == "bytes" {
				v.left--
			}
			if v.left == 0 || v.session != "" && k.What == "closed" {
				return nil
			}
		case <-done:
			done = nil
			ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
			err := shown.End(ctx)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// arrow is a side and a way as plays write them: c> came from the client, >c went to it.
func arrow(k middlebox.Chunk) string {
	side := k.Side[:1]
	if k.Way == "out" {
		return ">" + side
	}
	return side + ">"
}

// chunkText is a chunk as lines to read: what it is, then its bytes.
func chunkText(k middlebox.Chunk) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  ", k.Time.Local().Format("15:04:05.000000"))
	if k.Session != "" {
		fmt.Fprintf(&b, "%s  ", k.Session)
	}
	switch k.What {
	case "bytes":
		fmt.Fprintf(&b, "%s  at %d, %s", arrow(k), k.Offset, plural(k.Bytes, "byte"))
		if n := int64(len(k.Data)); n < k.Bytes {
			fmt.Fprintf(&b, ", the first %d", n)
		}
		b.WriteByte('\n')
		hexText(&b, k.Offset, k.Data)
		return b.String()
	case "fin", "rst":
		fmt.Fprintf(&b, "%s  %s at %d", arrow(k), ending(k.What), k.Offset)
	case "opened":
		from, to := k.Peer, k.Own
		if k.Side == "server" {
			from, to = to, from
		}
		fmt.Fprintf(&b, "%s  %v -> %v", k.Side, from, to)
		if k.Stood {
			fmt.Fprintf(&b, ", since before, %d read and %d written", k.Offset, k.Given)
		}
	case "fired":
		fmt.Fprintf(&b, "--  %s  (event %d)", comma(printable(fmt.Sprintf("%s at %s", k.Rule, k.At)), k.Direction, fmt.Sprintf("after %s", plural(k.Bytes, "byte")), ending(k.End)), k.Seq)
	case "lost":
		fmt.Fprintf(&b, "--  %s missing, %s: they came faster than they were read", plural(k.Chunks, "piece"), plural(k.Bytes, "byte"))
	default:
		b.WriteString(k.What)
	}
	b.WriteByte('\n')
	return b.String()
}

// hexText writes bytes in lines of sixteen, each with its place in the stream.
func hexText(b *strings.Builder, at int64, data []byte) {
	for len(data) > 0 {
		line := data[:min(16, len(data))]
		fmt.Fprintf(b, "  %08x ", at)
		for i := range 16 {
			if i == 8 {
				b.WriteByte(' ')
			}
			if i < len(line) {
				fmt.Fprintf(b, " %02x", line[i])
			} else {
				b.WriteString("   ")
			}
		}
		b.WriteString("  ")
		for _, c := range line {
			if c < ' ' || c > '~' {
				c = '.'
			}
			b.WriteByte(c)
		}
		b.WriteByte('\n')
		at, data = at+16, data[len(line):]
	}
}
