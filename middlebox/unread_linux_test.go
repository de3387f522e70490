package middlebox

import (
	"testing"

	"crimp/faults"
)

// TestUnreadInput: the client that has sent a second request before its first
// answer loses that answer; one that waits for it does not.
func TestUnreadInput(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer), Rules: []faults.Rule{rule("unread-input-reset", nil)}})
	c := dial(t, b, "web")
	for range 3 {
		say(t, c, request)
		expect(t, c, response)
	}
	say(t, c, request+request)
	wantEnd(t, c, "", "rst")
	if it := closedSession(t, b, "web/1"); it.Bytes.Upstream != 4*int64(len(request)) {
		t.Errorf("the server got the request that was not read: %+v", it)
	}
}
