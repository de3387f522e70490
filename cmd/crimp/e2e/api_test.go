package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// rpcError is an error answer of the control protocol.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    struct {
		Code    string `json:"code"`
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"data"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("%d %s", e.Code, e.Message) }

type params = map[string]any

// api talks to control ports; connections are kept, and no proxy is asked.
var api = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second}

// call is one method of crimp.v1 by POST. The answer lands in into, if not nil.
func (b *box) call(method string, p params, into any) error {
	if p == nil {
		p = params{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": p})
	if err != nil {
		return err
	}
	req, err := http.NewRequest("POST", b.api+"/v1/rpc", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	resp, err := api.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		return fmt.Errorf("%s: HTTP %d: %s", method, resp.StatusCode, text)
	}
	return decodeAnswer(text, into)
}

func decodeAnswer(text []byte, into any) error {
	var answer struct {
		Result json.RawMessage
		Error  *rpcError
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("not an answer: %s", text)
	}
	if answer.Error != nil {
		return answer.Error
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, into)
}

// must is a call that has to succeed.
func (b *box) must(method string, p params, into any) {
	b.t.Helper()
	if err := b.call(method, p, into); err != nil {
		b.t.Fatalf("%s %v: %v", method, p, err)
	}
}

// arm sets a rule, armed, named for its fault unless rule says otherwise.
func (b *box) arm(route string, rule params) {
	b.t.Helper()
	b.must("rule.set", params{"route": route, "rule": rule}, nil)
}

func (b *box) disarm(route, name string) {
	b.t.Helper()
	b.must("rule.disarm", params{"route": route, "name": name}, nil)
}

// addRoute makes a route on a free port and returns its address.
func (b *box) addRoute(name, upstream, protocol string) string {
	b.t.Helper()
	b.must("route.set", params{"route": params{"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "protocol": protocol}}, nil)
	return b.listen(name)
}

// listen is the resolved address of a route.
func (b *box) listen(route string) string {
	b.t.Helper()
	for _, r := range b.state().Routes {
		if r.Name == route {
			return r.Listen
		}
	}
	b.t.Fatalf("route %s is not in the state", route)
	return ""
}

// ruleState, routeState and state are the parts of state.get that tests here look at.
type ruleState struct {
	Name     string           `json:"name"`
	Fault    string           `json:"fault"`
	Armed    bool             `json:"armed"`
	Hits     int64            `json:"hits"`
	Misses   map[string]int64 `json:"misses"`
	Lease    string           `json:"lease"`
	NearMiss string           `json:"near_miss"`
}

type routeState struct {
	Name     string      `json:"name"`
	Listen   string      `json:"listen"`
	Rules    []ruleState `json:"rules"`
	Sessions any         `json:"sessions"`
}

type boxState struct {
	Seq    int64        `json:"seq"`
	Routes []routeState `json:"routes"`
}

func (b *box) state() boxState {
	b.t.Helper()
	var s boxState
	b.must("state.get", nil, &s)
	return s
}

func (b *box) rule(route, name string) (ruleState, bool) {
	b.t.Helper()
	for _, r := range b.state().Routes {
		for _, rule := range r.Rules {
			if r.Name == route && rule.Name == name {
				return rule, true
			}
		}
	}
	return ruleState{}, false
}

type event struct {
	Seq      int64          `json:"seq"`
	Type     string         `json:"type"`
	Route    string         `json:"route"`
	Session  string         `json:"session"`
	Exchange string         `json:"exchange"`
	Rule     string         `json:"rule"`
	Data     map[string]any `json:"data"`
}
