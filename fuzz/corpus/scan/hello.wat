;; The smallest application there is: `wasi:http/incoming-handler@0.2.0`, answering every request
;; with a greeting. Read it from the end: the module is the program, what stands before it are the
;; types of the interfaces that it uses (WIT: wasi:io@0.2.0, wasi:http@0.2.0).
(component
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))

  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $output-stream (sub resource)))
    (alias outer 1 $io-error (type $io-error))
    (export "error" (type $error (eq $io-error)))
    (type $stream-error' (variant
      (case "last-operation-failed" (own $error))
      (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream))
      (param "contents" (list u8))
      (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))

  (import "wasi:http/types@0.2.0" (instance $http
    (alias outer 1 $output-stream (type $output-stream'))
    (export "output-stream" (type $output-stream (eq $output-stream')))
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $incoming-request (sub resource)))
    (export "outgoing-response" (type $outgoing-response (sub resource)))
    (export "outgoing-body" (type $outgoing-body (sub resource)))
    (export "response-outparam" (type $response-outparam (sub resource)))

    (type $header-error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header-error (eq $header-error')))

    (type $dns-payload' (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns-payload (eq $dns-payload')))
    (type $tls-payload' (record
      (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls-payload (eq $tls-payload')))
    (type $field-size' (record
      (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $field-size (eq $field-size')))
    (type $error-code' (variant
      (case "DNS-timeout")
      (case "DNS-error" $dns-payload)
      (case "destination-not-found")
      (case "destination-unavailable")
      (case "destination-IP-prohibited")
      (case "destination-IP-unroutable")
      (case "connection-refused")
      (case "connection-terminated")
      (case "connection-timeout")
      (case "connection-read-timeout")
      (case "connection-write-timeout")
      (case "connection-limit-reached")
      (case "TLS-protocol-error")
      (case "TLS-certificate-error")
      (case "TLS-alert-received" $tls-payload)
      (case "HTTP-request-denied")
      (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid")
      (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32))
      (case "HTTP-request-header-size" (option $field-size))
      (case "HTTP-request-trailer-section-size" (option u32))
      (case "HTTP-request-trailer-size" $field-size)
      (case "HTTP-response-incomplete")
      (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $field-size)
      (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32))
      (case "HTTP-response-trailer-size" $field-size)
      (case "HTTP-response-transfer-coding" (option string))
      (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout")
      (case "HTTP-upgrade-failed")
      (case "HTTP-protocol-error")
      (case "loop-detected")
      (case "configuration-error")
      (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $error-code')))

    (export "[static]fields.from-list" (func
      (param "entries" (list (tuple string (list u8))))
      (result (result (own $fields) (error $header-error)))))
    (export "[constructor]outgoing-response" (func
      (param "headers" (own $fields))
      (result (own $outgoing-response))))
    (export "[method]outgoing-response.body" (func
      (param "self" (borrow $outgoing-response))
      (result (result (own $outgoing-body)))))
    (export "[static]response-outparam.set" (func
      (param "param" (own $response-outparam))
      (param "response" (result (own $outgoing-response) (error $error-code)))))
    (export "[method]outgoing-body.write" (func
      (param "self" (borrow $outgoing-body))
      (result (result (own $output-stream)))))
    (export "[static]outgoing-body.finish" (func
      (param "this" (own $outgoing-body))
      (param "trailers" (option (own $fields)))
      (result (result (error $error-code)))))))
  (alias export $http "incoming-request" (type $incoming-request))
  (alias export $http "response-outparam" (type $response-outparam))

  ;; The memory that both sides use; interfaces write their results into it.
  ;; Only the text of an error would be allocated, and an error ends this program anyway.
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $m))
  (alias core export $memory "realloc" (core func $never))

  (core func $from-list (canon lower (func $http "[static]fields.from-list") (memory $m)))
  (core func $response (canon lower (func $http "[constructor]outgoing-response")))
  (core func $body (canon lower (func $http "[method]outgoing-response.body") (memory $m)))
  (core func $set (canon lower (func $http "[static]response-outparam.set") (memory $m)
    string-encoding=utf8))
  (core func $write (canon lower (func $http "[method]outgoing-body.write") (memory $m)))
  (core func $write-and-flush (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $m)))
  (core func $drop-stream (canon resource.drop $output-stream))
  (core func $drop-request (canon resource.drop $incoming-request))
  (core func $finish (canon lower (func $http "[static]outgoing-body.finish") (memory $m)
    (realloc $never) string-encoding=utf8))

  (core module $program
    (import "host" "memory" (memory 1))
    (import "host" "fields" (func $fields (param $list i32) (param $length i32) (param $to i32)))
    (import "host" "response" (func $response (param $fields i32) (result i32)))
    (import "host" "body" (func $body (param $response i32) (param $to i32)))
    (import "host" "set" (func $set
      (param $to i32) (param $is-error i32) (param $response i32)
      (param i32 i64 i32 i32 i32 i32)))
    (import "host" "write" (func $write (param $body i32) (param $to i32)))
    (import "host" "write-and-flush" (func $write-and-flush
      (param $stream i32) (param $text i32) (param $length i32) (param $to i32)))
    (import "host" "drop-stream" (func $drop-stream (param i32)))
    (import "host" "drop-request" (func $drop-request (param i32)))
    (import "host" "finish" (func $finish
      (param $body i32) (param $has-trailers i32) (param $trailers i32) (param $to i32)))

    (data (i32.const 0) "Hello, world!\n")
    (data (i32.const 16) "content-type")
    (data (i32.const 32) "text/plain")
    (data (i32.const 48) "content-length")
    (data (i32.const 64) "14")
    ;; The headers: for each a name and a value, each of these an address and a length.
    (data (i32.const 128)
      "\10\00\00\00\0c\00\00\00" "\20\00\00\00\0a\00\00\00"
      "\30\00\00\00\0e\00\00\00" "\40\00\00\00\02\00\00\00")

    ;; Results are written to address 256: first whether it is an error, then the value.
    (func $value (result i32)
      (if (i32.load8_u (i32.const 256)) (then unreachable))
      (i32.load (i32.const 260)))

    (func (export "handle") (param $request i32) (param $out i32)
      (local $response i32) (local $body i32) (local $stream i32)
      (call $drop-request (local.get $request))
      (call $fields (i32.const 128) (i32.const 2) (i32.const 256))
      (local.set $response (call $response (call $value)))
      (call $body (local.get $response) (i32.const 256))
      (local.set $body (call $value))
      (call $set (local.get $out) (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $write (local.get $body) (i32.const 256))
      (local.set $stream (call $value))
      (call $write-and-flush (local.get $stream) (i32.const 0) (i32.const 14) (i32.const 256))
      (call $drop-stream (local.get $stream))
      (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 256))))

  (core instance $program (instantiate $program (with "host" (instance
    (export "memory" (memory $m))
    (export "fields" (func $from-list))
    (export "response" (func $response))
    (export "body" (func $body))
    (export "set" (func $set))
    (export "write" (func $write))
    (export "write-and-flush" (func $write-and-flush))
    (export "drop-stream" (func $drop-stream))
    (export "drop-request" (func $drop-request))
    (export "finish" (func $finish))))))

  (type $handle (func
    (param "request" (own $incoming-request))
    (param "response-out" (own $response-outparam))))
  (func $handle (type $handle) (canon lift (core func $program "handle")))
  (instance $handler
    (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
