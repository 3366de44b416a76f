module leno.dev/e2e/reader

go 1.24
