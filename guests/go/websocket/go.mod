module example.com/websocket

go 1.24

require (
	github.com/gorilla/websocket v1.5.0
	github.com/klauspost/compress v1.15.0 // indirect
	nhooyr.io/websocket v1.8.7
)
