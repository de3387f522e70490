package middlebox
func beStarved() bool { return false }
