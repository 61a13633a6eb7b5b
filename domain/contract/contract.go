// Package contract decides the life of a lease contract (租赁合同): drafted 草拟 → signed 签署 → filed 备案 → ended 终止.
// The unit (房源) stream owns "one active lease per space"; this stream owns only its own paperwork.
package contract
