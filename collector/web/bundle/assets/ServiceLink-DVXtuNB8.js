import{N as e,k as t,n,q as r,s as i,x as a}from"./index-oX4jOTnd.js";import{o,r as s}from"./format-TdbhgHfB.js";import{a as c}from"./colors-zHe_wEsg.js";import{t as l}from"./SendSpans-BUlC7hoX.js";function u({range:r}){let s={...i(r),limit:1},{data:c}=o(`/api/v1/services`,{query:s,workspace:n()});return c?.services.length?e(t,{title:`There are spans, but nothing counts them`,children:[e(`p`,{children:[`Rates, errors and durations are counted on the way in. Put these into the pipeline in `,e(`code`,{children:`collector.yaml`}),`:`]}),e(`pre`,{children:[`processors:`,`
`,`  red_metrics:`,`
`,`  topology:`,`

`,`service:`,`
`,`  pipelines:`,`
`,`    traces:`,`
`,`      processors: [red_metrics, topology, batch]`]}),e(`p`,{children:[`Until then, `,e(`a`,{href:a(`/search`),children:`search the traces`}),`.`]})]}):e(t,{title:`No service has sent spans in this time range`,children:[e(`p`,{children:`Choose a longer time range above, or send spans.`}),e(l,{})]})}function d({name:t}){return e(r,{children:[e(`span`,{class:`dot`,style:{background:c(t)}}),` `,t?e(`a`,{class:`name`,href:a(`/services/${encodeURIComponent(t)}`),children:t}):s(t)]})}export{u as n,d as t};