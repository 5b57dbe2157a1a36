;; A core module: what compilers made before there were components. It must be refused.
(module
  (func (export "handle")))
