package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"crimp/middlebox"
)

// How each object reads as a row.

func routeRow(r middlebox.RouteState) []string {
	armed := 0
	for _, rule := range r.Rules {
		if rule.Armed {
			armed++
		}
	}
	failed := ""
	if r.Failed > 0 {
		failed = plural(r.Failed, "failed dial")
	}
	return []string{
		r.Name, r.Listen + " -> " + toward(r.Upstream), r.Protocol,
		comma(plural(r.Sessions, "live session"), fmt.Sprintf("%d in all", r.SessionsTotal), failed),
		plural(r.Exchanges, "exchange"),
		fmt.Sprintf("%s, %d armed", plural(int64(len(r.Rules)), "rule"), armed),
	}
}

func ruleRow(r middlebox.RuleState) []string {
	state := "disarmed"
	switch {
	case r.Spent:
		state = "spent"
	case r.Armed:
		state = "armed"
	}
	return []string{r.Route + "/" + r.Name, state, r.Summary, comma(
		fmt.Sprintf("fired %s", times(r.Hits)), missed(r), without(r), expires(r), leased(r), why(r))}
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// missed tells which match key, gate or position kept a rule from firing.
func missed(r middlebox.RuleState) string {
	if len(r.Misses) == 0 {
		return ""
	}
	var keys, said []string
	for k := range r.Misses {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		said = append(said, fmt.Sprintf("%s %d", k, r.Misses[k]))
	}
	text := "missed by " + strings.Join(said, " ")
	if r.NearMiss != "" {
		text += "; near miss: " + r.NearMiss
	}
	return text
}

func without(r middlebox.RuleState) string {
	if r.Without == "" {
		return ""
	}
	return "without " + r.Without
}

func expires(r middlebox.RuleState) string {
	if r.Expires == nil {
		return ""
	}
	return "until " + r.Expires.Local().Format(time.TimeOnly)
}

func leased(r middlebox.RuleState) string {
	if r.Lease == "" {
		return ""
	}
	return "leased to " + r.Lease
}

// why is what was said with the last arming or disarming.
func why(r middlebox.RuleState) string {
	if r.Why == "" {
		return ""
	}
	if r.Armed {
		return "armed because " + r.Why
	}
	return "disarmed because " + r.Why
}

func sessionRow(s middlebox.SessionItem) []string {
	until, ended := time.Now(), ""
	if s.Closed != nil {
		until = *s.Closed
	}
	if s.Ended != nil {
		ended = fmt.Sprintf("client %s, server %s", ending(s.Ended.Client), ending(s.Ended.Server))
	}
	return []string{
		s.ID, s.Client + " -> " + toward(s.Upstream), s.Protocol, s.Outcome, plural(s.Exchanges, "exchange"),
		fmt.Sprintf("%d up, %d down", s.Bytes.Upstream, s.Bytes.Downstream),
		until.Sub(s.Opened).Round(time.Millisecond).String(), ended, comma(strings.Join(s.Rules, " "), strings.Join(s.Odd, ", ")),
	}
}

// ending says FIN and RST as they are called, and the rest in small letters.
func ending(s string) string {
	switch s {
	case "fin", "rst":
		return strings.ToUpper(s)
	case "stall":
		return "stalled"
	}
	return s
}

func exchangeRow(x middlebox.ExchangeItem) []string {
	status := "-"
	if x.Response.Status > 0 {
		status = fmt.Sprint(x.Response.Status)
	}
	size := fmt.Sprintf("%d bytes", x.Response.Sent)
	if d := x.Response.Declared; d != nil && *d != x.Response.Sent {
		size = fmt.Sprintf("%d of %d bytes", x.Response.Sent, *d)
	}
	end := ""
	if x.Response.End != "whole" {
		end = ending(x.Response.End)
	}
	if x.Outcome == "open" {
		end = "open"
	}
	var fired []string
	for _, f := range x.Rules {
		fired = append(fired, strings.TrimSpace(f.Rule+" at "+f.At))
	}
	return []string{
		x.ID, x.Request.Method + " " + x.Request.Target + " " + status, comma(size, end),
		comma(strings.Join(fired, ", "), strings.Join(x.Odd, ", ")),
	}
}

// toward is where a route or a session leads: a proxy's clients name it.
func toward(upstream string) string { return cmp.Or(upstream, "any origin") }
