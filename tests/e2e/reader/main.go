// A server of net/http that says what it reads of a request: its method, its path, its roles.
package main

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
)

func main() {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		roles := append([]string{r.Header.Get("X-Role")}, r.Header["X-Role"]...)
		clean := path.Clean(r.URL.Path)
		fmt.Fprintf(w, "%s\n%s\n%s\n", r.Method, clean, strings.Join(roles, "|"))
	})
	failed := make(chan error)
	for _, address := range os.Args[1:] {
		go func() { failed <- http.ListenAndServe(address, answer) }()
	}
	fmt.Fprintln(os.Stderr, <-failed)
	os.Exit(1)
}
