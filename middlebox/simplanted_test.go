package middlebox

import (
	"crimp/faults"
	"crimp/middlebox/sys"
)

// plant is a bug put into a world on purpose.
type plant struct {
	name   string
	kernel func(w *world, k *spy) sys.Kernel
	after  func(w *world)
	rule   func(faults.Rule) faults.Rule
}
