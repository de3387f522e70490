package control

import "crimp/middlebox"

func fakeStats(routes []middlebox.RouteState) middlebox.Stats {
	var s middlebox.Stats
	for _, r := range routes {
		s.Routes = append(s.Routes, middlebox.RouteStats{Name: r.Name, Sessions: r.Sessions, Bytes: r.Bytes, Exchanges: r.Exchanges})
	}
	return s
}
