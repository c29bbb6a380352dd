import{s as e}from"./format-C5CNUB5e.js";import{A as t,m as n,n as r,u as i,v as a}from"./index-Jz_9u12o.js";import{t as o}from"./SendSpans-DgkQ3Woa.js";function s({range:s}){let c={...a(s),limit:1},{data:l}=e(`/api/v1/services`,{query:c,workspace:r()});return l?.services.length?n(i,{title:`There are spans, but nothing counts them`,children:[n(`p`,{children:[`Rates, errors and durations are counted on the way in. Put these into the pipeline in `,n(`code`,{children:`collector.yaml`}),`:`]}),n(`pre`,{children:[`processors:`,`
`,`  red_metrics:`,`
`,`  topology:`,`

`,`service:`,`
`,`  pipelines:`,`
`,`    traces:`,`
`,`      processors: [red_metrics, topology, batch]`]}),n(`p`,{children:[`Until then, `,n(`a`,{href:t(`/search`),children:`search the traces`}),`.`]})]}):n(i,{title:`No service has sent spans in this time range`,children:[n(`p`,{children:`Choose a longer time range above, or send spans.`}),n(o,{})]})}export{s as t};