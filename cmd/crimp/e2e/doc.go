// Package e2e holds the tests that know crimp only from outside: they build the
// binary, start it, speak its public protocol and its command line, and put peers
// around it that nobody here wrote: nginx, curl, Python, Node, Go's net/http and
// raw sockets. Nothing here imports another package of this module, so a change
// inside cannot bend what is expected here.
//
// Reading order: harness_test.go (the binary, a box), api_test.go (a call), raw_test.go (raw
// peers), peers_test.go (real servers), then any file; its name is its subject.
// layers_test.go guards the imports of the whole module, readme_test.go and
// docker_test.go hold the documents to their word.
package e2e
