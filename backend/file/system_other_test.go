//go:build !linux || !(amd64 || arm64)

package file

// variants: there is one way only.
var variants map[string]maker
