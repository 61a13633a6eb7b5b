package main

import (
	"zujian/domain"
	"zujian/domain/access"
	"zujian/domain/account"
	"zujian/domain/alert"
	"zujian/domain/apikey"
	"zujian/domain/building"
	"zujian/domain/claim"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/guidance"
	"zujian/domain/index"
	"zujian/domain/listing"
	"zujian/domain/numbering"
	"zujian/domain/party"
	"zujian/domain/plan"
	"zujian/domain/ruleset"
	"zujian/domain/statement"
	"zujian/domain/unit"
	"zujian/domain/webhook"
	"zujian/projections"
	"zujian/projections/alerts"
	prices "zujian/projections/guidance"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/people"
	planview "zujian/projections/plan"
	"zujian/projections/process"
	"zujian/projections/process/forgetting"
	"zujian/projections/process/funds"
	"zujian/projections/process/leasing"
	"zujian/projections/process/objections"
	"zujian/projections/process/reconciling"
	"zujian/projections/process/warnings"
	"zujian/projections/rentindex"
	"zujian/projections/webhooks"
)

// This is the table of contents of the product: a new aggregate, view or process is its folder and one line here.

// catalogue is every event type that may stand in the log. A name declared twice panics at start.
func catalogue() domain.Catalogue {
	return domain.NewCatalogue(
		access.Types,    // who read personal data 查阅记录
		account.Types,   // supervised accounts 监管账户
		alert.Types,     // warnings and health scores 预警
		apikey.Types,    // API keys 接口密钥
		building.Types,  // building register 楼盘表
		claim.Types,     // uniqueness of identities and codes
		contract.Types,  // contracts and filing 合同备案
		escrow.Types,    // supervised money 资金监管
		guidance.Types,  // guidance prices 指导价格
		index.Types,     // releases of the rent index 租金指数发布
		listing.Types,   // listings and verification 房源核验
		numbering.Types, // serial numbers 编号
		party.Types,     // people and organisations 人
		plan.Types,      // plan targets 规划指标
		ruleset.Types,   // rules as data 监管规则集
		statement.Types, // bank days 对账
		unit.Types,      // homes, rooms, occupancy 房
		webhook.Types,   // endpoints that are told of facts 回调
	)
}

// views is every view built from the log: 人 · 房 · 钱 and the rent index.
func views(c *cityProfile) []projections.Projection {
	return []projections.Projection{
		people.Projection{},
		housing.Projection{},
		money.Projection{},
		planview.Projection{},
		prices.Projection{},
		rentindex.Projection{Model: c.Model},
		alerts.Projection{},
		webhooks.Projection{},
	}
}

// processes finish and time what follows from facts, across aggregates.
func processes(h *house) []process.Process {
	return []process.Process{
		leasing.Process{},                       // contract ↔ unit, listings, subleases; expiries
		forgetting.Process{Erase: h.keys.Erase}, // keys of the erased
		funds.Process{},                         // releases due, silent deposits
		warnings.Process{Figures: h.figures(), Books: h.city.Books}, // figures → alerts, day by day
		objections.Process{},  // terms of objections to guidance prices
		reconciling.Process{}, // money of a day that was compared before
	}
}
