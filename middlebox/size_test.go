package middlebox

import (
	"reflect"
	"testing"

	"crimp/faults"
)

// TestSessionSizes: what an idle session costs is decided by a few structs. One
// field too many and each takes the allocator's next size, an eighth more. (The
// allocator's sizes are 448 and 640, of which it takes a word itself.)
func TestSessionSizes(t *testing.T) {
	for _, test := range []struct {
		of   any
		most uintptr
	}{{session{}, 440}, {faults.Engine{}, 632}} {
		if typ := reflect.TypeOf(test.of); typ.Size() > test.most {
			t.Errorf("%s has %d bytes, at most %d were wanted", typ, typ.Size(), test.most)
		}
	}
}
