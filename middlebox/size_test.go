package middlebox

import (
	"reflect"
	"testing"

	"crimp/faults"
)

// TestSessionSizes: what an idle session costs is decided by a few structs. One
// field too many and each takes the allocator's next size, an eighth more. (512
// and 704 before there were connect and packet faults and segments of their own.)
func TestSessionSizes(t *testing.T) {
	for _, test := range []struct {
		of   any
		most uintptr
	}{{session{}, 576}, {faults.Engine{}, 768}} {
		if typ := reflect.TypeOf(test.of); typ.Size() > test.most {
			t.Errorf("%s has %d bytes, at most %d were wanted", typ, typ.Size(), test.most)
		}
	}
}
