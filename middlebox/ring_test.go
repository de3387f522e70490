package middlebox

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Pieces keep their bytes until they are given back, in whatever order, and an arena
// whose pieces are all gone counts one block at most, the one it goes on with.
func TestArenaKeepsPieces(t *testing.T) {
	for _, c := range []struct {
		name    string
		largest int // bytes of a piece
		keep    int // pieces
	}{
		{"many of a hundred bytes", 200, 3000},
		{"one at a time", 30000, 1}, // the last block is emptied while it is the last
		{"larger than a block", 3 * blockSize, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(c.keep)))
			var a arena
			type kept struct {
				piece
				want []byte
			}
			var all []kept
			giveBack := func(i int) {
				if k := all[i]; !bytes.Equal(a.bytes(k.piece), k.want) {
					t.Fatalf("piece %v has other bytes than were put there", k.piece)
				}
				a.release(all[i].piece)
				all = append(all[:i], all[i+1:]...)
			}
			for n := range 100 + 4*c.keep {
				b := bytes.Repeat([]byte{byte(n)}, 1+r.IntN(c.largest))
				all = append(all, kept{a.put(b), b})
				for len(all) > c.keep-1 && len(all) > 0 { // now and then one that is not the oldest
					giveBack(r.IntN(min(len(all), 3)))
				}
			}
			for len(all) > 0 {
				giveBack(0)
			}
			if most := max(blockSize, c.largest); a.used > most {
				t.Errorf("%d bytes are in use without a piece, want %d at most", a.used, most)
			}
			if live := len(a.blocks) - len(a.empty); live != 1 {
				t.Errorf("%d blocks are in use without a piece, want the last alone", live)
			}
		})
	}
}
