package control

import (
	"slices"

	"crimp/faults"
	"crimp/middlebox"
)

// conflict is a refusal to overwrite what changed (if_rev), with the rule or
// route as it stands: the caller need not ask for it to decide anew.
type conflict struct {
	refusal *faults.Error
	current any
}

func (c *conflict) Error() string { return c.refusal.Error() }
func (c *conflict) Unwrap() error { return c.refusal }

// ruleConflict adds the rule to an error that is about its revision; others, and
// nil, it gives back as they are.
func (s *Server) ruleConflict(err error, route, name string) error {
	if e := ofRevision(err); e != nil {
		if r, ok := s.rule(ruleKey{route, name}); ok {
			return &conflict{e, r}
		}
	}
	return err
}

// routeConflict is ruleConflict for a route.
func (s *Server) routeConflict(err error, name string) error {
	if e := ofRevision(err); e != nil {
		routes := s.box.State().Routes
		if i := slices.IndexFunc(routes, func(r middlebox.RouteState) bool { return r.Name == name }); i >= 0 {
			return &conflict{e, routes[i]}
		}
	}
	return err
}

func ofRevision(err error) *faults.Error {
	if e, ok := err.(*faults.Error); ok && e.Code == faults.Conflict && e.Field == "if_rev" {
		return e
	}
	return nil
}
