//! Middleware of WASI 0.2.0 that is made for a test.

/// Makes the component of what its module is to have: a function `handle`, which may call `$next`.
pub fn component(module: &str) -> String {
    format!(
        r#"(component
          (import "wasi:http/types@0.2.0" (instance $types
            (export "incoming-request" (type (sub resource)))
            (export "response-outparam" (type (sub resource)))))
          (alias export $types "incoming-request" (type $request))
          (alias export $types "response-outparam" (type $out))
          (import "wasi:http/incoming-handler@0.2.0" (instance $next
            (alias outer 1 $request (type $request'))
            (export "incoming-request" (type $request (eq $request')))
            (alias outer 1 $out (type $out'))
            (export "response-outparam" (type $out (eq $out')))
            (export "handle" (func (param "request" (own $request)) (param "response-out" (own $out))))))
          (alias export $next "handle" (func $next-handle))
          (core func $next-core (canon lower (func $next-handle)))
          (core module $m
            (import "next" "handle" (func $next (param i32 i32)))
            {module})
          (core instance $i (instantiate $m
            (with "next" (instance (export "handle" (func $next-core))))))
          (func $handle (param "request" (own $request)) (param "response-out" (own $out))
            (canon lift (core func $i "handle")))
          (instance $handler (export "handle" (func $handle)))
          (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    )
}
