//go:build !linux || !(amd64 || arm64)

package file

// variants: there is only one.
var variants map[string]maker
