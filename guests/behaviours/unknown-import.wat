;; A component that imports an interface of somebody else's, which no server offers. It must be refused.
(component
  (import "acme:widgets/gadget@1.2.0" (instance
    (export "turn" (func (param "times" u32)))))
  (instance $handler)
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
