package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"crimp/middlebox"
)

// packet is a packet as another program would read it out of a file.
type packet struct {
	from, to netip.AddrPort
	seq, ack uint32
	flags    byte
	data     string
	missing  int // bytes of it that are not in the file
	comments []string
	at       time.Time
}

func (p packet) String() string {
	var flags []string
	for i, word := range []string{"FIN", "SYN", "RST", "PSH", "ACK"} {
		if p.flags&(1<<i) != 0 {
			flags = append(flags, word)
		}
	}
	text := fmt.Sprintf("%v > %v %s seq %d ack %d %q", p.from, p.to, strings.Join(flags, ","), p.seq, p.ack, p.data)
	if p.missing > 0 {
		text += fmt.Sprintf(" and %d", p.missing)
	}
	if len(p.comments) > 0 {
		text += fmt.Sprintf(" %q", p.comments)
	}
	return text
}

// readPcapng reads a file by the letter of its format, and says how many pieces it
// declares dropped.
func readPcapng(t *testing.T, file []byte) (packets []packet, dropped uint64) {
	t.Helper()
	le := binary.LittleEndian
	var kinds []uint32
	for len(file) > 0 {
		kind, n := le.Uint32(file), le.Uint32(file[4:])
		if n%4 != 0 || int(n) > len(file) || le.Uint32(file[n-4:]) != n {
			t.Fatalf("block %d of kind %x: length %d", len(kinds), kind, n)
		}
		body := file[8 : n-4]
		file = file[n:]
		kinds = append(kinds, kind)
		switch kind {
		case 0x0a0d0d0a:
			if le.Uint32(body) != 0x1a2b3c4d || le.Uint16(body[4:]) != 1 {
				t.Fatalf("section header % x", body)
			}
		case 1:
			if o := options(t, body[8:]); le.Uint16(body) != 101 || !slices.Equal(o[9], []string{"\x09"}) {
				t.Fatalf("interface % x", body)
			}
		case 5:
			dropped = le.Uint64([]byte(options(t, body[12:])[5][0]))
		case 6:
			size, whole := le.Uint32(body[12:]), le.Uint32(body[16:])
			p := readPacket(t, body[20:20+size], int(whole))
			p.at = time.Unix(0, int64(uint64(le.Uint32(body[4:]))<<32|uint64(le.Uint32(body[8:]))))
			p.comments = options(t, body[20+(size+3)/4*4:])[1]
			packets = append(packets, p)
		default:
			t.Fatalf("block kind %x", kind)
		}
	}
	if len(kinds) < 2 || kinds[0] != 0x0a0d0d0a || kinds[1] != 1 {
		t.Fatalf("it begins with %x", kinds)
	}
	return packets, dropped
}

func options(t *testing.T, b []byte) map[uint16][]string {
	t.Helper()
	all := map[uint16][]string{}
	for len(b) > 0 {
		code, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if code == 0 {
			if len(b) != 4 {
				t.Fatalf("%d bytes behind the end of options", len(b)-4)
			}
			return all
		}
		all[code] = append(all[code], string(b[4:4+n]))
		b = b[4+(n+3)/4*4:]
	}
	t.Fatal("the options have no end")
	return nil
}

// readPacket reads the headers; checksums must come out as zero.
func readPacket(t *testing.T, b []byte, whole int) (p packet) {
	t.Helper()
	be := binary.BigEndian
	var from, to netip.Addr
	var tcp []byte
	var size int
	switch b[0] >> 4 {
	case 4:
		if sum := checksum(wordSum(0, b[:20])); sum != 0 || int(be.Uint16(b[2:])) != whole || b[9] != 6 {
			t.Fatalf("IPv4 header % x of %d bytes", b[:20], whole)
		}
		from, to = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		tcp, size = b[20:], whole-20
	case 6:
		if int(be.Uint16(b[4:])) != whole-40 || b[6] != 6 {
			t.Fatalf("IPv6 header % x of %d bytes", b[:40], whole)
		}
		from, to = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		tcp, size = b[40:], whole-40
	}
	p.from, p.to = netip.AddrPortFrom(from, be.Uint16(tcp)), netip.AddrPortFrom(to, be.Uint16(tcp[2:]))
	p.seq, p.ack, p.flags = be.Uint32(tcp[4:]), be.Uint32(tcp[8:]), tcp[13]
	p.data = string(tcp[tcp[12]>>4*4:])
	p.missing = size - len(tcp)
	pseudo := slices.Concat(from.AsSlice(), to.AsSlice(), []byte{0, 6, byte(size >> 8), byte(size)})
	if p.missing == 0 && checksum(wordSum(wordSum(0, pseudo), tcp)) != 0 {
		t.Errorf("%v: the checksum is wrong", p)
	}
	return p
}

var (
	aClient = netip.MustParseAddrPort("10.0.0.7:50000")
	ourFace = netip.MustParseAddrPort("10.0.0.1:8080")
	ourBack = netip.MustParseAddrPort("[2001:db8::1]:40000")
	aServer = netip.MustParseAddrPort("[2001:db8::2]:80")
	noon    = time.Unix(1_800_000_000, 123_456_789)
)

// write has chunks written and read back.
func write(t *testing.T, chunks ...middlebox.Chunk) ([]packet, uint64) {
	t.Helper()
	var file bytes.Buffer
	w := bufio.NewWriter(&file)
	p := newPcapng(w)
	for _, k := range chunks {
		k.Time = noon
		p.chunk(k)
	}
	p.end()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return readPcapng(t, file.Bytes())
}

func opened(side string) middlebox.Chunk {
	k := middlebox.Chunk{What: "opened", Session: "web/1", Side: side, Own: ourFace, Peer: aClient}
	if side == "server" {
		k.Own, k.Peer = ourBack, aServer
	}
	return k
}

func piece(side, way string, at int64, data string) middlebox.Chunk {
	return middlebox.Chunk{What: "bytes", Session: "web/1", Side: side, Way: way, Offset: at, Bytes: int64(len(data)), Data: []byte(data)}
}

func end(what, side, way string, at int64) middlebox.Chunk {
	return middlebox.Chunk{What: what, Session: "web/1", Side: side, Way: way, Offset: at}
}

// Both sides of a session are connections of their own, with a handshake by who
// connected, and their own ends; the fault that cut one stands where it was cut.
func TestPcapng(t *testing.T) {
	got, dropped := write(t, opened("client"), opened("server"), piece("client", "in", 0, "ask"), piece("server", "out", 0, "ask"),
		piece("server", "in", 0, "answer"), piece("client", "out", 0, "answ"),
		middlebox.Chunk{What: "fired", Session: "web/1", Direction: "downstream", Rule: "cut", At: "byte:4", End: "fin", Seq: 7},
		end("fin", "client", "out", 4), end("rst", "server", "out", 3), middlebox.Chunk{What: "closed", Session: "web/1"})
	want := []string{
		`10.0.0.7:50000 > 10.0.0.1:8080 SYN seq 0 ack 0 "" ["web/1 client"]`,
		`10.0.0.1:8080 > 10.0.0.7:50000 SYN,ACK seq 0 ack 1 ""`,
		`10.0.0.7:50000 > 10.0.0.1:8080 ACK seq 1 ack 1 ""`,
		`[2001:db8::1]:40000 > [2001:db8::2]:80 SYN seq 0 ack 0 "" ["web/1 server"]`,
		`[2001:db8::2]:80 > [2001:db8::1]:40000 SYN,ACK seq 0 ack 1 ""`,
		`[2001:db8::1]:40000 > [2001:db8::2]:80 ACK seq 1 ack 1 ""`,
		`10.0.0.7:50000 > 10.0.0.1:8080 ACK seq 1 ack 1 "ask"`,
		`[2001:db8::1]:40000 > [2001:db8::2]:80 ACK seq 1 ack 1 "ask"`,
		`[2001:db8::2]:80 > [2001:db8::1]:40000 ACK seq 1 ack 4 "answer"`,
		`10.0.0.1:8080 > 10.0.0.7:50000 ACK seq 1 ack 4 "answ"`,
		`10.0.0.1:8080 > 10.0.0.7:50000 FIN,ACK seq 5 ack 4 "" ["cut at byte:4, FIN, event 7"]`,
		`[2001:db8::1]:40000 > [2001:db8::2]:80 RST,ACK seq 4 ack 7 ""`,
	}
	wantPackets(t, got, want)
	if dropped != 0 || !got[0].at.Equal(noon) {
		t.Errorf("%d dropped, at %v, expected %v", dropped, got[0].at, noon)
	}
}

func wantPackets(t *testing.T, got []packet, want []string) {
	t.Helper()
	var lines []string
	for _, p := range got {
		lines = append(lines, p.String())
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nexpected\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// A connection that stood before has no handshake; pieces that are missing leave a
// gap in the numbers and are declared; of a piece that was shortened the length is told;
// what is still to be remarked at the end is.
func TestPcapngOfAPart(t *testing.T) {
	stood := opened("client")
	stood.Stood, stood.Offset, stood.Given = true, 1<<33, 100
	short := piece("client", "in", 1<<33+2, "xy")
	short.Bytes = 40
	again := stood
	again.Offset = 1<<33 + 900
	got, dropped := write(t, stood, piece("client", "in", 1<<33, "ab"), short,
		middlebox.Chunk{What: "lost", Chunks: 3, Bytes: 858}, again, piece("client", "in", 1<<33+900, "z"), end("fin", "client", "in", 1<<33+901),
		end("rst", "client", "in", 1<<33+901), middlebox.Chunk{What: "fired", Session: "web/1", Direction: "downstream", Rule: "stall", At: "byte:100", End: "stall", Seq: 9})
	wantPackets(t, got, []string{
		`10.0.0.7:50000 > 10.0.0.1:8080 ACK seq 1 ack 1 "ab" ["web/1 client, which stood before"]`,
		`10.0.0.7:50000 > 10.0.0.1:8080 ACK seq 3 ack 1 "xy" and 38`,
		`10.0.0.7:50000 > 10.0.0.1:8080 ACK seq 901 ack 1 "z" ["before this 3 pieces missing, 858 bytes"]`,
		`10.0.0.7:50000 > 10.0.0.1:8080 FIN,ACK seq 902 ack 1 ""`,
		`10.0.0.7:50000 > 10.0.0.1:8080 RST,ACK seq 903 ack 1 ""`,
		`10.0.0.1:8080 > 10.0.0.7:50000 ACK seq 1 ack 903 "" ["stall at byte:100, stalled, event 9"]`,
	})
	if dropped != 3 {
		t.Errorf("%d dropped, expected 3", dropped)
	}
}

// A session that turns to another server has another connection; one whose peer is not
// known has zeros.
func TestPcapngOfSeveralServers(t *testing.T) {
	second := opened("server")
	second.Offset, second.Given, second.Peer = 6, 3, netip.AddrPort{}
	got, _ := write(t, opened("server"), piece("server", "out", 0, "one"), second, piece("server", "out", 3, "two"), piece("server", "in", 6, "2"))
	if n := len(got); n != 9 || got[7].data != "two" || got[7].seq != 1 || got[7].to.Addr() != netip.IPv6Unspecified() || got[8].seq != 1 || got[8].ack != 4 {
		t.Errorf("%v", got)
	}
}

func TestChunkText(t *testing.T) {
	stood := opened("server")
	stood.Stood, stood.Offset, stood.Given = true, 12, 3
	short := piece("client", "out", 4090, "\x00\x1b[31m\xff and so on, and on\n")
	short.Bytes = 2000
	for _, test := range []struct {
		k    middlebox.Chunk
		want string
	}{
		{opened("client"), "web/1  client  10.0.0.7:50000 -> 10.0.0.1:8080\n"},
		{stood, "web/1  server  [2001:db8::1]:40000 -> [2001:db8::2]:80, since before, 12 read and 3 written\n"},
		{piece("server", "in", 0, "hi"), "web/1  s>  at 0, 2 bytes\n  00000000  68 69                                             hi\n"},
		{short, "web/1  >c  at 4090, 2000 bytes, the first 26\n" +
			"  00000ffa  00 1b 5b 33 31 6d ff 20  61 6e 64 20 73 6f 20 6f  ..[31m. and so o\n" +
			"  0000100a  6e 2c 20 61 6e 64 20 6f  6e 0a                    n, and on.\n"},
		{end("rst", "client", "in", 9), "web/1  c>  RST at 9\n"},
		{end("fin", "server", "out", 1), "web/1  >s  FIN at 1\n"},
		{middlebox.Chunk{What: "fired", Session: "web/1", Direction: "downstream", Bytes: 1, Rule: "cut", At: "body:512", End: "rst", Seq: 7},
			"web/1  --  cut at body:512, downstream, after 1 byte, RST  (event 7)\n"},
		{middlebox.Chunk{What: "lost", Chunks: 2, Bytes: 70000}, "--  2 pieces missing, 70000 bytes: they came faster than they were read\n"},
		{middlebox.Chunk{What: "closed", Session: "web/1"}, "web/1  closed\n"},
	} {
		test.k.Time = noon
		want := noon.Local().Format("15:04:05.000000") + "  " + test.want
		if got := chunkText(test.k); got != want {
			t.Errorf("got\n%sexpected\n%s", got, want)
		}
	}
}
