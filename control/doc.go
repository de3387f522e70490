// Package control is the way in: the protocol crimp.v1 over a WebSocket and
// over POST, and the Go client that speaks it.
//
// A server is a Box with a door:
//
//	srv := control.NewServer(control.Options{Box: box, Version: "1.2.3"})
//	go srv.Serve(listener)
//	defer srv.Shutdown(ctx)
//
// and a test that damages traffic is
//
//	c, err := control.Dial(ctx, "http://127.0.0.1:27467", control.DialOptions{Name: "my test"})
//	c.SetRule(ctx, control.RuleSetParams{Route: "web", Rule: faults.Rule{Fault: "truncate", Armed: true}, Lease: "client"})
//	// ... use http://127.0.0.1:8080 ...
//	fired, err := c.Wait(ctx, control.WaitParams{Filter: middlebox.Filter{Rule: "truncate", Type: "fault.fired"}})
//
// Reading order: message.go (what is said), wire.go (how it is framed),
// methods.go (what each method does), server.go and auth.go (the door),
// stream.go and conn.go (one WebSocket), hub.go (subscriptions), capture.go, wait.go,
// lease.go, conflict.go; then the other end, client.go, calls.go, feed.go, subscription.go
// and capturing.go; and what a box is started from, configuration.go, and schema.go.
//
// What it promises:
//
//   - A call that changes something is carried out on the connection's read
//     loop, in the order it was sent; its answer goes out when the change is in
//     force. Only wait runs beside the loop.
//   - Answers are never dropped. A connection has at most 32 of them unwritten:
//     then its next call is not read until one is out.
//   - A subscription is a snapshot and then every later event once, by sequence
//     number. A subscriber that does not keep up loses its notifications and
//     gets one resync with a new snapshot when it has caught up.
//   - A capture tells every byte, or how many are missing and where. What waits for
//     a reader is bounded in the box and in the queue.
//   - Nobody waits for anybody: each connection has its own bounded queue and
//     its own cursor on the journal, and no lock is held over I/O.
package control
