;; A component that imports an interface of WASI in a version that there is not. It must be refused,
;; and told which versions there are.
(component
  (import "wasi:clocks/monotonic-clock@0.9.0" (instance
    (export "now" (func (result u64)))))
  (instance $handler)
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
