package viewstest_test

import (
	"testing"

	"zujian/projections"
	"zujian/projections/viewstest"
)

func TestMemory(t *testing.T) {
	viewstest.Run(t, func(testing.TB) projections.Views { return &projections.Memory{} })
}
