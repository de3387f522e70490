package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"crimp/middlebox"
)

// How an event reads as a row.

// event is middlebox.Event with its data as it came.
type event struct {
	middlebox.Event
	Data json.RawMessage `json:"data"`
}

func eventRow(e event) []string {
	where := e.Route
	for _, narrower := range []string{e.Session, e.Exchange} {
		if narrower != "" {
			where = narrower
		}
	}
	text, err := eventText(e)
	if err != nil || text == "" {
		text = string(e.Data)
	}
	return []string{fmt.Sprint(e.Seq), e.Time.Local().Format("15:04:05.000"), e.Type, where, e.Rule, text}
}

// eventText tells an event's data in words; what has none here stays as it came.
func eventText(e event) (string, error) {
	first, _, _ := strings.Cut(e.Type, ".")
	switch {
	case e.Type == "fault.fired":
		return toldAs(e, func(d middlebox.FiredData) string {
			return comma(fmt.Sprintf("%s at %s", d.Fault, d.At), d.Direction,
				fmt.Sprintf("after %d bytes", d.Bytes), ending(d.End), unacked(d))
		})
	case e.Type == "exchange.started":
		return toldAs(e, func(d middlebox.ExchangeItem) string { return d.Request.Method + " " + d.Request.Target })
	case e.Type == "exchange.finished":
		return toldAs(e, func(d middlebox.ExchangeItem) string { return strings.Join(exchangeRow(d)[1:3], "  ") })
	case e.Type == "session.failed":
		return toldAs(e, func(d middlebox.FailedData) string { return comma(d.Client+" -> "+d.Upstream, d.Error) })
	case e.Type == "session.opaque":
		return toldAs(e, func(d middlebox.OpaqueData) string {
			return fmt.Sprintf("%s from byte %d: %s", d.Direction, d.Offset, d.Reason)
		})
	case first == "session":
		return toldAs(e, func(d middlebox.SessionItem) string {
			return comma(d.Client+" -> "+toward(d.Upstream), d.Outcome, d.Cause)
		})
	case e.Type == "rule.missed":
		return toldAs(e, func(d middlebox.MissedData) string { return comma(d.Fault+" at "+d.At, d.Direction, d.Reason) })
	case first == "rule":
		return toldAs(e, func(d middlebox.RuleData) string { return comma(d.Rule.Summary, d.Who, d.Why) })
	case first == "route":
		return toldAs(e, func(d middlebox.RouteData) string {
			return comma(d.Route.Listen+" -> "+toward(d.Route.Upstream), d.Who)
		})
	case first == "control":
		return toldAs(e, func(d controlData) string { return comma(d.Name, d.Remote) })
	case e.Type == "box.started":
		return toldAs(e, func(d startedData) string { return comma(d.Version, fmt.Sprintf("seed %d", d.Seed), d.Config) })
	case first == "box":
		return toldAs(e, func(d middlebox.BoxData) string { return comma(d.Who, d.Why, strings.Join(d.Rules, " ")) })
	}
	return "", nil
}

// toldAs reads an event's data as what its type says it is.
func toldAs[D any](e event, tell func(D) string) (string, error) {
	var d D
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return "", err
	}
	return tell(d), nil
}

// controlData is that of control.joined and control.left.
type controlData struct{ Name, Remote string }

// startedData is that of box.started: with the seed and the same traffic, the
// same faults.
type startedData struct {
	Version string `json:"version"`
	Seed    uint64 `json:"seed"`
	Config  string `json:"config"` // the file; empty if there is none
}

// unacked tells what a reset destroyed: bytes said that nobody acknowledged.
func unacked(d middlebox.FiredData) string {
	if d.End == "" || d.Acked >= d.Bytes {
		return ""
	}
	return fmt.Sprintf("%d acknowledged", d.Acked)
}
